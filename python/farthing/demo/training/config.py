"""The sizes of the model, chosen so that the Q8_0 file stays under 2 MB."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    vocabulary: int = 1152
    context: int = 512
    width: int = 192
    layers: int = 5
    hidden: int = 384
    heads: int = 6
    kv_heads: int = 2
    head: int = 32
    rope_base: float = 10000.0
    epsilon: float = 1e-5


def is_matrix(name: str) -> bool:
    """Whether the weights of that name are the matrices of the layers."""
    return name.startswith(("attn_", "ffn_")) and not name.endswith("_norm")
