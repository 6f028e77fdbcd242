"""Reads the fields of a binary file, each checked against what is left of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from farthing.errors import ModelFileError

_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_F32 = struct.Struct("<f")


class Reader:
    """A position in an open file; all numbers are little-endian.

    Whatever is wrong raises ModelFileError with the file, the offset in bytes and the numbers.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.size = file.seek(0, 2)
        self._file = file
        file.seek(0)

    def tell(self) -> int:
        """The offset of what is read next."""
        return self._file.tell()

    def seek(self, offset: int) -> None:
        """Go to an offset; one past the end fails when something is read there."""
        self._file.seek(offset)

    @property
    def left(self) -> int:
        """The bytes after the position."""
        return self.size - self.tell()

    def error(self, text: str, *, at: int | None = None) -> ModelFileError:
        """An error at an offset, by default the position."""
        return ModelFileError(f"{self.path}: at offset {self.tell() if at is None else at}: {text}")

    def need(self, n_bytes: int, what: str) -> None:
        """Fail unless `n_bytes` more are there."""
        if n_bytes > self.left:
            raise self.error(f"{what} needs {n_bytes} bytes, but {max(self.left, 0)} are left")

    def take(self, n_bytes: int, what: str) -> bytes:
        """The next bytes."""
        self.need(n_bytes, what)
        at = self.tell()
        found = self._file.read(n_bytes)
        if len(found) < n_bytes:
            raise self.error(f"{what} needs {n_bytes} bytes, but {len(found)} could be read", at=at)
        return found

    def i32(self, what: str) -> int:
        """A signed number of 4 bytes."""
        value: int = _I32.unpack(self.take(4, what))[0]
        return value

    def u32(self, what: str) -> int:
        """An unsigned number of 4 bytes."""
        value: int = _U32.unpack(self.take(4, what))[0]
        return value

    def f32(self, what: str) -> float:
        """A float of 4 bytes."""
        value: float = _F32.unpack(self.take(4, what))[0]
        return value

    def count(self, what: str, most: int, *, least: int = 1) -> int:
        """A number of 4 bytes that has to be in a range."""
        at = self.tell()
        value = self.u32(what)
        if not least <= value <= most:
            raise self.error(f"{what} is {value}, must be {least} to {most}", at=at)
        return value

    def text(self, length: int, what: str) -> str:
        """The next bytes as UTF-8."""
        at = self.tell()
        raw = self.take(length, what)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise self.error(f"{what} is not UTF-8: {raw[:32]!r}", at=at) from error

    def align(self, alignment: int) -> None:
        """Go to the next multiple of `alignment`."""
        self.seek(-(-self.tell() // alignment) * alignment)
