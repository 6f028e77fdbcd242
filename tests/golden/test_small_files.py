"""Files written here, computed by the engine and by the reference in double precision."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from float_reference import FloatReference
from small_files import Small, tokens

from farthing import Model

KINDS = {
    "plain": Small(),
    "multi-query": Small(kv_heads=1),
    "every head its own": Small(kv_heads=4),
    "free head size": Small(head_dim=24),
    "partly rotated": Small(rotated=8),
    "tied": Small(tied=True),
    "rope factors": Small(rope_factors=True),
    "linear": Small(scaling="linear"),
    "yarn": Small(scaling="yarn", head_dim=32),
    "experts": Small(experts=5),
    "qwen3": Small(architecture="qwen3", qk_norm=True, head_dim=32),
    "F16": Small(weight_type="F16"),
}
IDS = tokens(100)
CACHES = {"f16": 2e-4, "bf16": 1e-3, "q8_0": 1e-3, "q4_0": 1e-2}
"""Types of KV cache, and what may differ of the logits."""


@pytest.mark.parametrize("kind", KINDS)
def test_float32_cache(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind].write(tmp_path / "small.gguf")
    with Model(path, kv_type="f32") as model:
        error = model.logits(IDS) - FloatReference(path).logits(IDS)
    # Logits reach 6; what float32 loses is some 1e-5.
    assert np.abs(error).max() < 5e-5


# The reference rounds alike but for a few values near a tie.
@pytest.mark.parametrize(("kv_type", "tolerance"), CACHES.items())
@pytest.mark.parametrize("kind", KINDS)
def test_rounding_caches(kind: str, kv_type: str, tolerance: float, tmp_path: Path) -> None:
    path = KINDS[kind].write(tmp_path / "small.gguf")
    with Model(path, kv_type=kv_type) as model:
        error = model.logits(IDS) - FloatReference(path, kv_type).logits(IDS)
    assert rms(error) < tolerance


def test_bfloat16_weights(tmp_path: Path) -> None:
    path = Small(weight_type="BF16").write(tmp_path / "small.gguf")
    with Model(path) as model:
        error = model.logits(IDS) - FloatReference(path).logits(IDS)
    # Where pairs are multiplied, activations are rounded to bfloat16, which costs 0.03.
    assert rms(error) < 0.04


@pytest.mark.parametrize("weight_type", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_quantized_weights(weight_type: str, tmp_path: Path) -> None:
    path = Small(weight_type=weight_type).write(tmp_path / "small.gguf")
    with Model(path) as model:
        error = model.logits(IDS) - FloatReference(path).logits(IDS)
    # Activations are rounded to 8 bits in groups of 32, which costs 0.05.
    assert rms(error) < 0.06


LOOKED_UP = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS"]


@pytest.mark.parametrize("weight_type", [*LOOKED_UP, "MXFP4", "NVFP4", "TQ1_0", "TQ2_0"])
def test_quantized_weights_of_large_blocks(weight_type: str, tmp_path: Path) -> None:
    small = Small(weight_type=weight_type, width=256, head_dim=64, hidden=512)
    path = small.write(tmp_path / "small.gguf")
    with Model(path) as model:
        error = model.logits(IDS) - FloatReference(path).logits(IDS)
    assert rms(error) < 0.06


def test_quantized_experts(tmp_path: Path) -> None:
    path = Small(weight_type="Q8_0", experts=5).write(tmp_path / "small.gguf")
    with Model(path) as model:
        error = model.logits(IDS) - FloatReference(path).logits(IDS)
    # Where rounding tips the choice of an expert, the position and those after it are far off.
    assert np.median([rms(row) for row in error]) < 0.1


SCALED = {
    "output": [0.7],
    "blk.0.attn_q": [1.3],
    "blk.0.attn_output": [0.6],
    "blk.1.attn_k": [0.8],
    "blk.1.attn_v": [1.7],
    "blk.1.ffn_gate": [1.2],
    "blk.0.ffn_up": [0.5],
    "blk.1.ffn_down": [1.6],
}


def test_scales_beside_matrices(tmp_path: Path) -> None:
    small = Small(weight_type="NVFP4", width=256, head_dim=64, hidden=512, scales=SCALED)
    path = small.write(tmp_path / "small.gguf")
    with Model(path) as model:
        error = model.logits(IDS) - FloatReference(path).logits(IDS)
    assert rms(error) < 0.06


def test_scales_of_experts(tmp_path: Path) -> None:
    factors = np.linspace(0.5, 2.0, 5)
    scales = {
        f"blk.{layer}.ffn_{part}_exps": np.roll(factors, layer + shift).tolist()
        for layer in range(2)
        for shift, part in enumerate(("gate", "up", "down"))
    }
    small = Small(weight_type="NVFP4", width=256, head_dim=64, hidden=512, experts=5, scales=scales)
    path = small.write(tmp_path / "small.gguf")
    with Model(path) as model:
        error = model.logits(IDS) - FloatReference(path).logits(IDS)
    # As for other quantized experts.
    assert np.median([rms(row) for row in error]) < 0.1


def rms(x: npt.NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(x**2)))


@pytest.mark.parametrize(("weight_type", "factor"), [("NVFP4", 2), ("Q8_0", 1)])
def test_products_of_some_types_have_a_scale(weight_type: str, factor: int, tmp_path: Path) -> None:
    small = Small(weight_type=weight_type, width=256, head_dim=64, hidden=512)
    with Model(small.write(tmp_path / "plain.gguf")) as model:
        plain = model.logits(IDS)
    scaled = dataclasses.replace(small, scales={"output": [2.0]})
    with Model(scaled.write(tmp_path / "scaled.gguf")) as model:
        np.testing.assert_array_equal(model.logits(IDS), factor * plain)
