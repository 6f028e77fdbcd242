"""What blocks of every type mean, against the `gguf` package."""

from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGMLQuantizationType

import golden
from blocks import HALVES, set_scale
from farthing import _native

EXTREME_HALVES = [0.0, -0.0, 1.0, -1.0, 2.0**-24, -(2.0**-14), 65504.0, -65504.0, np.inf, np.nan]

every_type = pytest.mark.parametrize("type_name", golden.TYPES)


def sizes(type_name: str) -> tuple[int, int]:
    """Weights and bytes of a block."""
    n_weights, n_bytes = gguf.GGML_QUANT_SIZES[GGMLQuantizationType[type_name]]
    return n_weights, n_bytes


def check(blocks: npt.NDArray[np.uint8], type_name: str) -> None:
    """Every weight is the same to the bit, but any NaN is as good as another."""
    n_weights, n_bytes = sizes(type_name)
    data = blocks.tobytes()
    ours = _native.dequantize(data, type_name, len(data) // n_bytes * n_weights)
    theirs = golden.expected(data, type_name)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    number = ~np.isnan(theirs)
    np.testing.assert_array_equal(np.isnan(ours), ~number)
    np.testing.assert_array_equal(ours.view(np.uint32)[number], theirs.view(np.uint32)[number])


@every_type
def test_random_blocks(type_name: str) -> None:
    rng = np.random.default_rng(1)
    _, n_bytes = sizes(type_name)
    blocks = rng.integers(0, 256, (2000, n_bytes), np.uint8)
    for offset in HALVES.get(type_name, []):
        halves = rng.normal(0, 1, (2000, 1)).astype(np.float16)
        blocks[:1000, offset : offset + 2] = halves[:1000].view(np.uint8)
    check(blocks, type_name)


@every_type
@pytest.mark.parametrize("byte", [0x00, 0x7F, 0x80, 0xAA, 0xFF])
def test_extreme_blocks(type_name: str, byte: int) -> None:
    _, n_bytes = sizes(type_name)
    blocks = np.full((len(EXTREME_HALVES) ** 2, n_bytes), byte, np.uint8)
    for i, block in enumerate(blocks):
        for j, offset in enumerate(HALVES.get(type_name, [])):
            half = EXTREME_HALVES[i // len(EXTREME_HALVES) ** j % len(EXTREME_HALVES)]
            block[offset : offset + 2] = np.array([half], np.float16).view(np.uint8)
    check(blocks, type_name)


def test_every_exponent_of_mxfp4() -> None:
    rng = np.random.default_rng(2)
    blocks = rng.integers(0, 256, (256, 17), np.uint8)
    blocks[:, 0] = np.arange(256)
    check(blocks, "MXFP4")


def test_every_scale_of_nvfp4() -> None:
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 256, (64, 36), np.uint8)
    blocks[:, :4] = np.arange(256, dtype=np.uint8).reshape(64, 4)
    check(blocks, "NVFP4")


@pytest.mark.parametrize("half", EXTREME_HALVES)
def test_scales_in_pieces_of_iq1_m(half: float) -> None:
    rng = np.random.default_rng(4)
    blocks = rng.integers(0, 256, (256, 56), np.uint8)
    set_scale(blocks, "IQ1_M", half)
    check(blocks, "IQ1_M")


def test_every_half() -> None:
    check(np.arange(65536, dtype=np.uint16).view(np.uint8), "F16")


@every_type
def test_no_blocks(type_name: str) -> None:
    assert _native.dequantize(b"", type_name, 0).shape == (0,)


def test_bytes_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"\b17\b"):
        _native.dequantize(bytes(17), "Q4_0", 32)
    with pytest.raises(ValueError, match=r"\b31\b"):
        _native.dequantize(bytes(18), "Q4_0", 31)
    with pytest.raises(ValueError, match="Q9_9"):
        _native.dequantize(bytes(18), "Q9_9", 32)


def test_golden_hashes_in_rust_are_those_of_gguf() -> None:
    root = Path(__file__).parents[2]
    source = (root / "rust/kernels/src/quant/tests.rs").read_text()
    assert golden.table() in source
