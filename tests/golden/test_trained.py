"""Trained models against `golden.json`, whose numbers are a float32 reference's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farthing import Model

TRAINED = ["stories260K", "tinystories-656k", "zh-poem-750k", "aidreams260k"]


@pytest.fixture(params=TRAINED)
def name(request: pytest.FixtureRequest) -> str:
    return f"{request.param}-f32.gguf"


@pytest.fixture(params=["f32", "f16"])
def model(request: pytest.FixtureRequest, data: Path, name: str) -> Iterator[Model]:
    with Model(data / "models" / name, kv_type=request.param) as model:
        yield model


@pytest.fixture
def cases(data: Path, name: str) -> list[dict[str, Any]]:
    golden = json.loads((data / "models" / "golden.json").read_text(encoding="utf-8"))
    return golden["models"][name]


def test_prompts(model: Model, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        assert model.tokenizer.encode(case["prompt"]) == case["ids"]


def test_greedy_text(model: Model, cases: list[dict[str, Any]], name: str) -> None:
    # This vocabulary lacks characters of the text it was trained on: the most likely token often
    # is "unknown", which the golden continuation avoids.
    bias = {0: float("-inf")} if name.startswith("zh-poem") else {}
    for case in cases:
        options: dict[str, Any] = {"temperature": 0, "logit_bias": bias}
        completion = model.generate(case["ids"], max_tokens=len(case["greedy"]), **options)
        assert completion.tokens == case["greedy"]
        assert completion.text == case["text"]


def test_best_five_logits(model: Model, cases: list[dict[str, Any]]) -> None:
    # A cache in half precision costs up to 5e-3.
    tolerance = {"f32": 1e-4, "f16": 1e-2}[model.info["kv_type"]]
    for case in cases:
        last = model.logits(case["ids"])[-1]
        best = sorted(range(len(last)), key=lambda token: -last[token])[:5]
        assert best == [token for token, _ in case["last_top5"]]
        for token, logit in case["last_top5"]:
            assert last[token] == pytest.approx(logit, abs=tolerance)
