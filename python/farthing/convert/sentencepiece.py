"""The part of SentencePiece's model files that a GGUF vocabulary needs.

The format: protocol buffers, by `sentencepiece_model.proto` of the SentencePiece repository.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 70
"""In bits: ten bytes of seven."""

BPE = 2
"""The number of the model type that merges by score."""


@dataclass
class SentencePieceModel:
    """Pieces in the order of their ids, and how text is prepared."""

    pieces: list[bytes] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    """With the numbers that GGUF uses too."""
    model_type: int = 1
    space_prefix: bool = True
    """A space is put before a text (`add_dummy_prefix`)."""
    normalizer: str = ""
    """The rule's name, where text is normalized."""


def parse(data: bytes) -> SentencePieceModel:
    """Read a serialized model; raises ValueError for bytes that are none."""
    model = SentencePieceModel()
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            _add_piece(model, dict(_fields(value)))
        elif number == 2 and isinstance(value, bytes):
            model.model_type = _integer(dict(_fields(value)).get(3, model.model_type))
        elif number == 3 and isinstance(value, bytes):
            rules = dict(_fields(value))
            model.space_prefix = bool(_integer(rules.get(3, 1)))
            if rules.get(2):
                model.normalizer = _raw(rules.get(1, b"?")).decode("utf-8", "replace")
    return model


def _add_piece(model: SentencePieceModel, piece: dict[int, int | bytes]) -> None:
    score = _raw(piece.get(2, bytes(4)))
    if len(score) != 4:
        raise ValueError(f"the score of piece {len(model.pieces)} has {len(score)} bytes, not 4")
    model.pieces.append(_raw(piece.get(1, b"")))
    model.scores.append(struct.unpack("<f", score)[0])
    model.types.append(_integer(piece.get(3, 1)))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: whole numbers, or the bytes of anything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"a field has the unknown kind {wire} at byte {at}")
        if length > len(data) - at:
            raise ValueError(f"a field needs {length} bytes at byte {at} of {len(data)}")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _LONGEST_VARINT, 7):
        if at >= len(data):
            raise ValueError(f"a number is cut short at byte {at}")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError(f"a number has more than {_LONGEST_VARINT // 7} bytes at byte {at}")


def _integer(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")
    return value


def _raw(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"{value} is no string of bytes")
    return value
