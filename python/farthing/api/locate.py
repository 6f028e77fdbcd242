"""Where the file of a model is."""

from __future__ import annotations

import os
from pathlib import Path

from farthing.errors import ModelFileError

DEMO = "demo"
"""The name of the model inside the package; a file of that name is `./demo`."""


def locate(name: str | os.PathLike[str]) -> Path:
    """The file that `name` stands for. Raises ModelFileError if there is none."""
    if name == DEMO:
        from farthing import demo

        return demo.path()
    path = Path(name).expanduser()
    if not path.is_file():
        kind = "a directory, not a GGUF file" if path.is_dir() else "no such file"
        raise ModelFileError(f"{path}: {kind}")
    return path
