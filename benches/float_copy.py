"""A copy of a GGUF file with all weights as F32."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np


def write_float_copy(source: Path, target: Path) -> None:
    """Dequantize the weights of `source`, one tensor in memory at a time."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    _copy_metadata(reader, writer)
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        bytes_of_floats = 4 * int(tensor.n_elements)
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), bytes_of_floats)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        writer.write_tensor_data(gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.close()


def _copy_metadata(reader: gguf.GGUFReader, writer: gguf.GGUFWriter) -> None:
    own = ("GGUF.", "general.architecture", "general.file_type", "split.")
    for name, value in reader.fields.items():
        if name.startswith(own):
            continue
        kind = value.types[0]
        inner = value.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value.contents(), kind, inner)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
