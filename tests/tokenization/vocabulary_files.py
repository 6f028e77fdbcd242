"""Vocabularies as GGUF files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf


def write_vocabulary(path: Path, metadata: dict[str, Any]) -> None:
    """A file without tensors, of GGUF metadata."""
    writer = gguf.GGUFWriter(path, metadata.get("general.architecture", "llama"))
    for name, value in metadata.items():
        if name == "general.architecture":
            continue
        if isinstance(value, list | bytes):
            writer.add_array(name, value)
        elif isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_string(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
