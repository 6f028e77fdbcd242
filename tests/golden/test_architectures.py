"""Random models of several architectures against transformers' logits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_reference import FloatReference

from farthing import Model

RANDOM = ["llama-rope3", "mixtral", "qwen3"]
"""Files in `models/random` that `golden.json` there has numbers for."""
SMALL = [
    "llama",
    "llama-tied",
    "llama-linear",
    "llama3-rope",
    "mistral",
    "mixtral",
    "qwen3",
    "qwen3-yarn",
]
"""Files in `models/arch-small`, each beside its numbers and their tolerance."""


@pytest.fixture(params=RANDOM)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(data: Path, name: str) -> Iterator[Model]:
    path = data / "models" / "random" / f"tiny-random-{name}-f32.gguf"
    with Model(path, kv_type="f32") as model:
        yield model


@pytest.fixture
def cases(data: Path, name: str) -> list[dict[str, Any]]:
    path = data / "models" / "random" / "golden.json"
    return json.loads(path.read_text(encoding="utf-8"))[name]


def test_tokens_and_logits(model: Model, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        assert model.tokenizer.encode(case["text"]) == case["ids"]
        logits = model.logits(case["ids"])
        assert logits[-1] == pytest.approx(case["last_logits"], abs=5e-5)
        assert logits.argmax(axis=1).tolist() == case["argmax"]


def test_greedy_tokens(model: Model, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        completion = model.generate(case["ids"], temperature=0, max_tokens=12)
        # The golden tokens go on after the end of the text.
        assert completion.tokens == case["greedy"][: len(completion.tokens)]
        if completion.finish_reason == "stop":
            assert case["greedy"][len(completion.tokens)] in model.tokenizer.eog_ids
        else:
            assert len(completion.tokens) == 12


@pytest.mark.parametrize("small", SMALL)
def test_small_files(data: Path, small: str) -> None:
    folder = data / "models" / "arch-small"
    golden = np.load(folder / f"{small}.npz")
    expected = golden["hf"]
    with Model(folder / f"{small}-f32.gguf", kv_type="f32") as model:
        logits = model.logits(golden["tokens"].tolist())
    assert np.abs(logits - expected).max() < golden["tolerance"] * np.abs(expected).max()
    assert np.array_equal(logits.argmax(axis=1), expected.argmax(axis=1))


def test_a_real_vocabulary_and_half_precision_weights(data: Path) -> None:
    path = data / "models" / "random" / "llama-2-tiny-random.gguf"
    with Model(path, n_ctx=64, kv_type="f32") as model:
        ids = model.tokenizer.encode("Once upon a time")
        logits = model.logits(ids)
    expected = FloatReference(path).logits(ids)
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()
