"""The ggml types that old files have: their numbers and blocks.

Numbers and sizes: the GGUF specification (`ggml_type`) and ggml's block structures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class GgmlType:
    """A row of the table."""

    name: str
    id: int
    block: int
    """Weights in a block; rows are a whole number of blocks."""
    block_bytes: int

    def n_bytes(self, shape: Sequence[int]) -> int:
        """The size of a tensor."""
        return math.prod(shape) // self.block * self.block_bytes


TYPES = {
    row.id: row
    for row in (
        GgmlType("F32", 0, 1, 4),
        GgmlType("F16", 1, 1, 2),
        GgmlType("Q4_0", 2, 32, 18),
        GgmlType("Q4_1", 3, 32, 20),
        GgmlType("Q5_0", 6, 32, 22),
        GgmlType("Q5_1", 7, 32, 24),
        GgmlType("Q8_0", 8, 32, 34),
        GgmlType("Q2_K", 10, 256, 84),
        GgmlType("Q3_K", 11, 256, 110),
        GgmlType("Q4_K", 12, 256, 144),
        GgmlType("Q5_K", 13, 256, 176),
        GgmlType("Q6_K", 14, 256, 210),
    )
}
"""By number, as GGUF has them."""
