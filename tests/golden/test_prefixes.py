"""What is taken from earlier requests is what would have been computed: bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from small_files import tokens

from farthing import Completion, Model

RECURRENT = "falcon-h1 granitehybrid lfm2 mamba nemotron_h qwen35 qwen3next"
WINDOWS = "gemma2 gemma3 gemma4 gpt-oss cohere2"
OTHERS = "deepseek2 llama qwen3moe"
SMALL = f"{RECURRENT} {WINDOWS} {OTHERS}"
"""Files in `models/arch-small`."""
OWN = "jamba lfm2moe mamba2"
"""Recurrent ones in `data/architectures`."""
NAMES = [*SMALL.split(), *OWN.split()]
STATES_ALONE = ["mamba", "mamba2"]
"""Without attention there are no pages that could run out."""
LENGTH = 230
"""Tokens of a prompt: more than any window of the files, and three pages."""


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest) -> Path:
    name = f"{request.param}-f32.gguf"
    if request.param in OWN.split():
        return Path(__file__).parents[1] / "data" / "architectures" / name
    data: Path = request.getfixturevalue("data")
    return data / "models" / "arch-small" / name


@pytest.fixture
def alone(path: Path) -> Iterator[Model]:
    """Shares nothing."""
    with Model(path, n_ctx=512, prefix_cache_bytes=0) as model:
        yield model


@pytest.fixture
def sharing(path: Path) -> Iterator[Model]:
    with Model(path, n_ctx=512) as model:
        yield model


OPTIONS: dict[str, Any] = {"temperature": 0, "logprobs": 3, "ignore_eos": True}


def is_recurrent(path: Path) -> bool:
    return path.name.removesuffix("-f32.gguf") in [*RECURRENT.split(), *OWN.split()]


def answer(model: Model, prompt: list[int]) -> Completion:
    return model.generate(prompt, max_tokens=6, **OPTIONS)


def prompts(model: Model) -> list[list[int]]:
    """Texts that begin alike, for some time."""
    n_vocab = model.info["n_vocab"]
    first = [token % n_vocab for token in tokens(LENGTH, seed=1)]
    cut = [(150, 50), (64, 10), (200, 40), (LENGTH, 5), (LENGTH, 0)]
    return [first, *(first[:n] + [t % n_vocab for t in tokens(m, seed=m)] for n, m in cut)]


def test_the_same_answers(path: Path, alone: Model, sharing: Model) -> None:
    cached = []
    for prompt in prompts(alone):
        expected, got = answer(alone, prompt), answer(sharing, prompt)
        assert (got.tokens, got.logprobs) == (expected.tokens, expected.logprobs)
        assert expected.usage.prompt_tokens_details.cached_tokens == 0
        cached.append(got.usage.prompt_tokens_details.cached_tokens)
    at_least = [0, 150, 64, 200, LENGTH, LENGTH - 1]
    if is_recurrent(path):
        # The end of the last page well before the end of the first prompt.
        at_least = [0, 0, 0, 192, 192, 192]
    assert cached[0] == 0
    assert all(n >= least for n, least in zip(cached, at_least, strict=True))


def test_the_same_answers_at_the_same_time(alone: Model, sharing: Model) -> None:
    texts = prompts(alone) * 2
    with ThreadPoolExecutor(len(texts)) as pool:
        together = list(pool.map(lambda prompt: answer(sharing, prompt), texts))
    for prompt, got in zip(texts, together, strict=True):
        expected = answer(alone, prompt)
        assert (got.tokens, got.logprobs) == (expected.tokens, expected.logprobs)


def test_the_same_answers_from_files(path: Path, alone: Model, tmp_path: Path) -> None:
    with Model(path, n_ctx=512, prefix_cache_dir=tmp_path) as model:
        answer(model, prompts(model)[0])
    at_least = [192, 0, 0, 192, 192, 192] if is_recurrent(path) else [192, 128, 64, 192, 192, 192]
    for prompt, least in zip(prompts(alone), at_least, strict=True):
        with Model(path, n_ctx=512, prefix_cache_dir=tmp_path) as model:
            got = answer(model, prompt)
        expected = answer(alone, prompt)
        assert (got.tokens, got.logprobs) == (expected.tokens, expected.logprobs)
        assert got.usage.prompt_tokens_details.cached_tokens >= least


@pytest.mark.parametrize("path", [n for n in NAMES if n not in STATES_ALONE], indirect=True)
def test_the_same_answers_when_memory_runs_out(path: Path, alone: Model) -> None:
    """Four begin with a page each and end with three, of six and more for which there is room."""
    page = 64 * alone.info["kv_bytes_per_token"]
    room = 12 * page if is_recurrent(path) else 6 * page
    texts = [[token % alone.info["n_vocab"] for token in tokens(55, seed=n)] for n in range(4)]
    with Model(path, n_ctx=192, max_sequences=4, kv_cache_bytes=room, ctx_checkpoints=0) as small:
        assert small.info["kv_bytes"] < 12 * page
        together = small.generate_batch(texts, max_tokens=120, **OPTIONS)
    for text, got in zip(texts, together, strict=True):
        expected = alone.generate(text, max_tokens=120, **OPTIONS)
        assert (got.tokens, got.logprobs) == (expected.tokens, expected.logprobs)
        assert got.usage.completion_tokens == 120
