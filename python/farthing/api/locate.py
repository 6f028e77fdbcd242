"""Where the file of a model is."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from farthing.convert import recognize
from farthing.errors import ModelFileError

DEMO = "demo"
"""The name of the model inside the package; a file of that name is `./demo`."""


def locate(name: str | os.PathLike[str]) -> Path:
    """The file that `name` stands for.

    Raises ModelFileError if there is none, or if it has to be converted first.
    """
    if name == DEMO:
        from farthing import demo

        return demo.path()
    path = Path(name).expanduser()
    if not path.is_file():
        kind = "a directory, not a GGUF file" if path.is_dir() else "no such file"
        raise ModelFileError(f"{path}: {kind}")
    _check_format(path)
    return path


def _check_format(path: Path) -> None:
    try:
        source = recognize(path)
    except OSError:
        # Opening the file says what is wrong.
        return
    if source is not None:
        command = shlex.join(
            ["farthing", "convert", str(path), "-o", str(path.with_suffix(".gguf"))]
        )
        raise ModelFileError(
            f"{path}: a {source.name} file, which is older than GGUF; convert it first: {command}"
        )
