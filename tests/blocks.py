"""Blocks of quantized weights for tests."""

from __future__ import annotations

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType

Blocks = npt.NDArray[np.uint8]

HALVES = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
    "IQ1_S": [0],
    "IQ2_XXS": [0],
    "IQ2_XS": [0],
    "IQ2_S": [0],
    "IQ3_XXS": [0],
    "IQ3_S": [0],
    "IQ4_NL": [0],
    "IQ4_XS": [0],
    "TQ1_0": [52],
    "TQ2_0": [64],
}
"""Where blocks hold their halves, the scale first; random bits would often make them infinite."""


def set_scale(blocks: Blocks, type_name: str, scale: float) -> None:
    """Give every one of the blocks, `[n, bytes]`, the scale; to NVFP4, its power of two."""
    half = np.array([scale], "<f2")
    if type_name == "IQ1_M":
        words = blocks[:, 48:56].copy().view("<u2") & 0xFFF
        pieces = half.view("<u2") >> np.array([0, 4, 8, 12], "<u2") & 0xF
        blocks[:, 48:56] = (words | pieces << 12).view(np.uint8)
    elif type_name == "NVFP4":
        blocks[:, :4] = blocks[:, :4] & 7 | (round(np.log2(scale)) + 8) << 3
    else:
        offset = HALVES[type_name][0]
        blocks[:, offset : offset + 2] = half.view(np.uint8)


def random_blocks(
    shape: tuple[int, ...], type_name: str, deviation: float, random: np.random.Generator
) -> Blocks:
    """Random bits that mean weights of that size, `[*shape[:-1], bytes of a row]`."""
    kind = GGMLQuantizationType[type_name]
    n_weights, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    n = int(np.prod(shape)) // n_weights
    blocks = random.integers(0, 256, (n, n_bytes), np.uint8)
    set_scale(blocks, type_name, 1.0)
    size = np.sqrt(np.mean(gguf.dequantize(blocks, kind) ** 2, dtype=np.float64))
    set_scale(blocks, type_name, float(deviation / size))
    return blocks.reshape(*shape[:-1], -1)
