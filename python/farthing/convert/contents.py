"""What a source file says in GGUF's terms: between the readers and the writer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from farthing.convert.ggml_types import TYPES, GgmlType
from farthing.convert.old_blocks import OldBlock
from farthing.convert.reader import Reader
from farthing.errors import RequestError

Value: TypeAlias = bool | int | float | str | Sequence[str | bytes] | npt.NDArray[Any]
"""Metadata: a whole number is written as uint32, a float as float32, an array with its own type."""


@dataclass(frozen=True)
class Options:
    """What may be said about a file from outside; None stands for what the file says.

    Files of the llama family say none of it: `farthing.convert.ggml_llama` has their defaults.
    Raises RequestError for what is not above 0 and finite.
    """

    eps: float | None = None
    """The epsilon of the norms."""
    context_length: int | None = None
    """In tokens."""
    rope_base: float | None = None
    """The base of the rotary frequencies."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0 < value < math.inf:
                raise RequestError(f"{field.name} is {value}, must be more than 0")


@dataclass(frozen=True)
class Tensor:
    """A tensor to write."""

    name: str
    shape: tuple[int, ...]
    """In ggml's order: the dimension whose neighbours are neighbours in memory first."""
    type: GgmlType
    read: Callable[[], bytes]
    """Its bytes, as GGUF lays them out."""

    @property
    def n_bytes(self) -> int:
        """The size in bytes."""
        return self.type.n_bytes(self.shape)


@dataclass(frozen=True)
class Contents:
    """A whole model; the tensors are read only when they are asked for."""

    metadata: dict[str, Value]
    tensors: list[Tensor]


def tensor_at_position(
    reader: Reader,
    name: str,
    shape: tuple[int, ...],
    type_id: int,
    layouts: Mapping[str, OldBlock],
) -> Tensor:
    """The tensor whose data begin at the reader's position, which moves behind them.

    `shape` is in ggml's order, `layouts` has the types whose blocks are not laid out as today.
    """
    kind = TYPES.get(type_id)
    if kind is None:
        known = ", ".join(f"{row.id} ({row.name})" for row in TYPES.values())
        raise reader.error(f"tensor {name!r} has type {type_id}, must be one of {known}")
    at = reader.tell()
    what = f"tensor {name!r} of shape {list(shape)} and type {kind.name}"
    if shape[0] % kind.block:
        raise reader.error(f"{what} has rows of {shape[0]}, must be a multiple of {kind.block}")
    n_bytes = kind.n_bytes(shape)
    old = layouts.get(kind.name)
    if old is not None:
        n_bytes = n_bytes // kind.block_bytes * old.n_bytes
    reader.need(n_bytes, what)
    reader.seek(at + n_bytes)

    def read() -> bytes:
        reader.seek(at)
        data = reader.take(n_bytes, what)
        if old is None:
            return data
        try:
            return old.today(data)
        except ValueError as error:
            raise reader.error(f"{what}: {error}, must be finite as float16", at=at) from error

    return Tensor(name, shape, kind, read)


def floats(values: Sequence[float]) -> npt.NDArray[np.float32]:
    """Metadata of many floats."""
    return np.asarray(values, np.float32)


def integers(values: Sequence[int]) -> npt.NDArray[np.int32]:
    """Metadata of many whole numbers."""
    return np.asarray(values, np.int32)
