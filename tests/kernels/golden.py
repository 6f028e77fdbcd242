"""The golden hashes of `rust/kernels/src/quant/tests.rs`, by the `gguf` package.

`python tests/kernels/golden.py` prints the table.
"""

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType

TYPES = [
    "F32",
    "F16",
    "BF16",
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q2_K",
    "Q3_K",
    "Q4_K",
    "Q5_K",
    "Q6_K",
    "IQ1_S",
    "IQ1_M",
    "IQ2_XXS",
    "IQ2_XS",
    "IQ2_S",
    "IQ3_XXS",
    "IQ3_S",
    "IQ4_NL",
    "IQ4_XS",
    "MXFP4",
    "NVFP4",
    "TQ1_0",
    "TQ2_0",
]
N_BLOCKS = 64
_MASK = (1 << 64) - 1


def expected(data: bytes, type_name: str) -> npt.NDArray[np.float32]:
    """The weights that the bytes stand for."""
    blocks = np.frombuffer(data, np.uint8)
    with np.errstate(all="ignore"):
        weights = gguf.dequantize(blocks, GGMLQuantizationType[type_name])
    return np.asarray(weights, np.float32).reshape(-1)


def random_bytes(n: int, seed: int) -> bytes:
    """What `testing::bytes` gives."""
    state = (seed * 0x9E3779B97F4A7C15 & _MASK) | 1
    out = bytearray()
    for _ in range(n):
        state ^= state << 13 & _MASK
        state ^= state >> 7
        state ^= state << 17 & _MASK
        out.append(state >> 32 & 255)
    return bytes(out)


def golden(type_name: str) -> int:
    """FNV-1a over the bits of the weights of random blocks, any NaN being one."""
    ggml_type = GGMLQuantizationType[type_name]
    _, block_bytes = gguf.GGML_QUANT_SIZES[ggml_type]
    weights = expected(random_bytes(N_BLOCKS * block_bytes, ggml_type), type_name)
    bits = np.where(np.isnan(weights), np.uint32(0x7FC00000), weights.view(np.uint32))
    state = 0xCBF29CE484222325
    for word in bits.tolist():
        state = (state ^ word) * 0x100000001B3 & _MASK
    return state


def table() -> str:
    """The rows as they stand in the Rust source."""

    def row(name: str) -> str:
        digits = f"{golden(name):016x}"
        grouped = "_".join(digits[i : i + 4] for i in range(0, 16, 4))
        return f'    ("{name}", 0x{grouped}),\n'

    return "".join(row(name) for name in TYPES)


if __name__ == "__main__":
    print(table(), end="")
