"""Model files of older formats, made into GGUF.

To add a source: a file with a function `read(reader, options)` that gives the `Contents`, and a row
in `SOURCES`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farthing.errors import ModelFileError, RequestError

if TYPE_CHECKING:
    from farthing.convert.contents import Options

_MAGIC_BYTES = 4


@dataclass(frozen=True)
class Source:
    """A row of the table."""

    magic: bytes
    """What the files begin with."""
    name: str
    """For people."""
    module: str
    """The file of this package whose `read` reads them."""


SOURCES = (
    Source(b"lmgg", "GGML", "ggml_llama"),
    Source(b"fmgg", "GGMF", "ggml_llama"),
    Source(b"tjgg", "GGJT", "ggml_llama"),
    Source(b"ggml", "chatglm.cpp", "chatglm"),
)


def recognize(path: Path) -> Source | None:
    """The source whose magic a file begins with. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        magic = file.read(_MAGIC_BYTES)
    return next((source for source in SOURCES if source.magic == magic), None)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    options: Options | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Read a file of an older format, write a GGUF file.

    At most one tensor is in memory at a time, and `target` appears, or is replaced, when it is
    complete. `progress` is called with the bytes of tensors that are written and that there are.

    Raises ModelFileError for a file that is not of such a format or is damaged,
    UnsupportedModelError for a model that cannot be run, RequestError if `target` is `source`.
    """
    from importlib import import_module

    from farthing.convert.contents import Options
    from farthing.convert.reader import Reader
    from farthing.convert.write import write

    path, target = Path(source), Path(target)
    if not path.is_file():
        kind = "a directory, not a model file" if path.is_dir() else "no such file"
        raise ModelFileError(f"{path}: {kind}")
    if target.exists() and target.samefile(path):
        raise RequestError(f"{target}: the file to write is the file to read")
    found = recognize(path)
    if found is None:
        raise ModelFileError(f"{path}: {_unknown(path)}")
    with path.open("rb") as file:
        read = import_module(f"farthing.convert.{found.module}").read
        write(read(Reader(path, file), options or Options()), target, progress)


def _unknown(path: Path) -> str:
    with path.open("rb") as file:
        magic = file.read(_MAGIC_BYTES)
    if magic == b"GGUF":
        return "is a GGUF file already"
    known = ", ".join(f"{source.magic!r} ({source.name})" for source in SOURCES)
    return f"begins with {magic!r}, known are {known}"
