"""Quantized files against float32 on their dequantized weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_reference import FloatReference

from farthing import Model

RANDOM = {
    "q2_k": 0.0698,
    "q3_k_s": 0.0656,
    "q4_k_s": 0.0676,
    "q5_k_s": 0.0687,
    "q6_k": 0.0667,
    "iq4_xs": 0.0682,
}
"""llama.cpp's rms error on random tokens, of logits that span from -9 to 11."""
OURS = dict.fromkeys(RANDOM, 0.75) | dict.fromkeys(["q4_k_s", "q5_k_s", "q6_k"], 0.85)
"""Our error by llama.cpp's is below: 0.70 where 32 activations share a scale and 0.80 where 64 do;
there 256 do."""

TRAINED = {"q8_0": 0.0411, "q5_1": 0.0411, "q4_0": 0.0414}
"""llama.cpp's rms error on the golden texts; it, too, has a scale for 32 activations here."""


@pytest.fixture(scope="module")
def golden(data: Path) -> dict[str, Any]:
    path = data / "models" / "quant" / "golden-quant.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("weight_type", RANDOM)
def test_golden_logits(data: Path, golden: dict[str, Any], weight_type: str) -> None:
    path, expected = random_file(data, weight_type), golden["types"][weight_type.upper()]
    reference = FloatReference(path).logits(golden["ids"])
    assert reference[-1] == pytest.approx(expected["last_logits"], abs=2e-5)
    assert reference.argmax(axis=1).tolist() == expected["argmax"]
    with Model(path) as model:
        logits = model.logits(golden["ids"])
    assert logits[-1] == pytest.approx(expected["last_logits"], abs=0.25)
    best = logits.argmax(axis=1, keepdims=True)
    assert np.sum(best[:, 0] != expected["argmax"]) <= 2
    lost = reference.max(axis=1) - np.take_along_axis(reference, best, axis=1)[:, 0]
    assert lost.max() < 0.1


@pytest.mark.parametrize("weight_type", RANDOM)
def test_errors_in_random_models(data: Path, weight_type: str) -> None:
    ids = [1, *np.random.default_rng(0).integers(512, size=255).tolist()]
    error = rms_error(random_file(data, weight_type), [ids])
    assert error < OURS[weight_type] * RANDOM[weight_type]


@pytest.mark.parametrize("weight_type", TRAINED)
def test_errors_in_trained_models(data: Path, weight_type: str) -> None:
    golden = json.loads((data / "models" / "golden.json").read_text(encoding="utf-8"))
    cases = golden["models"]["tinystories-656k-f32.gguf"]
    texts = [case["ids"] + case["greedy"] for case in cases]
    path = data / "models" / f"tinystories-656k-{weight_type}.gguf"
    assert rms_error(path, texts) < TRAINED[weight_type]


def random_file(data: Path, weight_type: str) -> Path:
    return data / "models" / "quant" / f"tiny-random-llama256-{weight_type}.gguf"


def rms_error(path: Path, texts: list[list[int]]) -> float:
    """Of all logits of all texts."""
    reference = FloatReference(path)
    with Model(path) as model:
        errors = [model.logits(ids) - reference.logits(ids) for ids in texts]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
