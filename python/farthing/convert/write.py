"""Writes GGUF files, version 3, a tensor at a time.

The format: the GGUF specification in ggml's repository (`docs/gguf.md`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from farthing import _native
from farthing.convert.contents import Contents, Value

_ALIGNMENT = 32
"""Of tensor data, GGUF's default."""

_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9
_ELEMENTS = {"uint8": 0, "int32": 5, "float32": _FLOAT32}


def write(contents: Contents, target: Path, progress: Callable[[int, int], None]) -> None:
    """Write a file that appears under its name only when it is complete.

    Until then `.partial` is after its name, and it is removed if anything fails. That the engine
    takes it is part of it: what is missing raises as loading the file would. `progress` is called
    with the bytes of tensors that are written and that there are.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            _write(contents, file, progress)
        _native.Gguf(partial).kv_bytes(1)
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write(contents: Contents, file: BinaryIO, progress: Callable[[int, int], None]) -> None:
    file.write(b"GGUF" + struct.pack("<IQQ", 3, len(contents.tensors), len(contents.metadata)))
    for key, value in contents.metadata.items():
        file.write(_string(key) + _value(value))
    offset = 0
    for tensor in contents.tensors:
        rank = len(tensor.shape)
        file.write(_string(tensor.name))
        file.write(struct.pack(f"<I{rank}QIQ", rank, *tensor.shape, tensor.type.id, offset))
        offset += tensor.n_bytes + -tensor.n_bytes % _ALIGNMENT
    file.write(bytes(-file.tell() % _ALIGNMENT))
    total = sum(tensor.n_bytes for tensor in contents.tensors)
    done = 0
    for tensor in contents.tensors:
        progress(done, total)
        file.write(tensor.read())
        file.write(bytes(-tensor.n_bytes % _ALIGNMENT))
        done += tensor.n_bytes
    progress(done, total)


def _string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", _FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    if isinstance(value, np.ndarray):
        head = struct.pack("<IIQ", _ARRAY, _ELEMENTS[value.dtype.name], len(value))
        return head + value.tobytes()
    return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(map(_string, value))
