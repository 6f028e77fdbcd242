"""Perplexity of trained models on texts, by the engine and by the reference."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from float_reference import FloatReference, negative_log_likelihood

from farthing import Model

TEXTS = {
    "stories260K": "tinyshakespeare-head.txt",
    "tinystories-656k": "the-verdict.txt",
    "zh-poem-750k": "tang-poems-heldout-zh.txt",
}
WINDOWS = 8
WINDOW = 128
"""Tokens: BOS and what it predicts. All of these models have a context of as many or more."""


@pytest.mark.parametrize("kv_type", ["f32", "f16", "bf16", "q8_0", "q4_0"])
@pytest.mark.parametrize("name", TEXTS)
def test_perplexity_is_the_reference_s(data: Path, name: str, kv_type: str) -> None:
    path = data / "models" / f"{name}-f32.gguf"
    text = (data / "text" / TEXTS[name]).read_text(encoding="utf-8")
    reference = FloatReference(path, kv_type)
    ours, expected = [], []
    with Model(path, kv_type=kv_type) as model:
        bos, *ids = model.tokenizer.encode(text[: 16 * WINDOWS * WINDOW])
        for start in range(0, WINDOWS * (WINDOW - 1), WINDOW - 1):
            window = [bos, *ids[start : start + WINDOW - 1]]
            assert len(window) == WINDOW
            ours.append(negative_log_likelihood(model.logits(window), window))
            expected.append(negative_log_likelihood(reference.logits(window), window))
    # Where a number is near a tie, the reference may round it otherwise.
    tolerance = 1e-5 if kv_type == "f32" else 1e-4
    assert perplexity(ours) == pytest.approx(perplexity(expected), rel=tolerance)


def perplexity(windows: list[npt.NDArray[np.float64]]) -> float:
    return math.exp(np.concatenate(windows).mean())
