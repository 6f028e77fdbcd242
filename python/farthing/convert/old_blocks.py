"""Blocks of quantized weights as ggml laid them out before May 2023, made into today's.

A row of the table says what an old block holds. The integers stay what they were; scales and
minima that were float32 become the nearest float16, which is the only thing that changes.

Layouts: ggml's block structures at the commits of the three file versions. The two weights of a
byte were neighbours in files before GGJT v2 (byte i: weights 2i and 2i + 1); since then the low
halves of all bytes come first (byte i: weights i and i + 16). Scales are float16 since GGJT v3,
those of Q5_0 and Q5_1 always were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class OldBlock:
    """How a type of 32 weights a block was laid out."""

    n_scales: int
    """The scale, or the scale and the minimum."""
    n_rest: int
    """Bytes after the scales: the integers, last of all 16 of packed halves."""
    scales: str = "<f4"
    neighbours: bool = False
    """A byte's halves are neighbouring weights."""

    @property
    def n_bytes(self) -> int:
        """The size of a block."""
        return self.n_scales * np.dtype(self.scales).itemsize + self.n_rest

    def today(self, data: bytes) -> bytes:
        """Blocks in today's layout; raises ValueError if a scale is no finite float16."""
        old = np.frombuffer(data, self._fields(self.scales))
        new = np.empty(old.shape, self._fields("<f2"))
        with np.errstate(over="ignore"):
            new["scales"] = old["scales"]
        if not np.isfinite(new["scales"]).all():
            place = np.flatnonzero(~np.isfinite(new["scales"]).all(axis=1))[0]
            raise ValueError(f"block {place} has the scales {old['scales'][place].tolist()}")
        new["rest"] = old["rest"]
        if self.neighbours:
            new["rest"][:, -16:] = _apart(old["rest"][:, -16:])
        return new.tobytes()

    def _fields(self, scales: str) -> np.dtype[np.void]:
        return np.dtype([("scales", scales, self.n_scales), ("rest", "u1", self.n_rest)])


def _apart(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    weights = np.stack([packed & 15, packed >> 4], axis=-1).reshape(-1, 32)
    packed_today: npt.NDArray[np.uint8] = weights[:, :16] | weights[:, 16:] << 4
    return packed_today


GGJT_V2: Mapping[str, OldBlock] = {
    "Q4_0": OldBlock(1, 16),
    "Q4_1": OldBlock(2, 16),
    "Q8_0": OldBlock(1, 32),
}
"""Types of GGJT v2 files that are laid out otherwise than today."""

BEFORE_GGJT_V2: Mapping[str, OldBlock] = {
    "Q4_0": OldBlock(1, 16, neighbours=True),
    "Q4_1": OldBlock(2, 16, neighbours=True),
    "Q5_0": OldBlock(1, 20, "<f2", neighbours=True),
    "Q5_1": OldBlock(2, 20, "<f2", neighbours=True),
    "Q8_0": OldBlock(1, 32),
}
"""The same for GGML, GGMF and GGJT v1."""
