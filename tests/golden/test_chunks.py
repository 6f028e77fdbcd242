"""Results do not depend on how the work is cut: bit for bit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from small_files import Small, tokens

from farthing import Model

FILES = {
    "f32": Small(),
    "q4_0": Small(weight_type="Q4_0"),
    "experts": Small(weight_type="Q8_0", experts=5),
}
PROMPTS = [tokens(length, seed=length) for length in (1, 30, 67, 130)]


@pytest.fixture(params=FILES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return FILES[request.param].write(tmp_path / "small.gguf")


@pytest.fixture
def model(path: Path) -> Iterator[Model]:
    with Model(path) as model:
        yield model


@pytest.mark.parametrize("n_batch", [1, 7])
def test_batches_of_any_size(path: Path, model: Model, n_batch: int) -> None:
    with Model(path, n_batch=n_batch) as other:
        assert np.array_equal(other.logits(PROMPTS[-1]), model.logits(PROMPTS[-1]))
        assert greedy(other, PROMPTS[-1]) == greedy(model, PROMPTS[-1])


@pytest.mark.parametrize("n_threads", [1, 3])
def test_any_number_of_threads(path: Path, model: Model, n_threads: int) -> None:
    with Model(path, n_threads=n_threads) as other:
        assert np.array_equal(other.logits(PROMPTS[-1]), model.logits(PROMPTS[-1]))


def test_decoding_sees_what_a_whole_prompt_shows(model: Model) -> None:
    prompt = PROMPTS[1]
    continuation = greedy(model, prompt)
    rows = model.logits([*prompt, *continuation])[len(prompt) - 1 : -1]
    assert rows.argmax(axis=1).tolist() == continuation


def test_a_remembered_beginning(model: Model) -> None:
    whole = PROMPTS[-1]
    alone = greedy(model, whole)
    for length in (1, 64, 65, len(whole)):
        greedy(model, whole[:length])
        assert greedy(model, whole) == alone


async def test_requests_at_the_same_time(model: Model) -> None:
    alone = [greedy(model, prompt) for prompt in PROMPTS]
    together = await asyncio.gather(
        *(model.agenerate(prompt, temperature=0, max_tokens=8) for prompt in PROMPTS * 2)
    )
    assert [completion.tokens for completion in together] == alone * 2


def test_logits_while_others_generate(model: Model) -> None:
    alone = [model.logits(prompt) for prompt in PROMPTS]
    with ThreadPoolExecutor(len(PROMPTS)) as pool:
        busy = [model.stream(prompt, temperature=0, max_tokens=100) for prompt in PROMPTS[:2]]
        together = list(pool.map(model.logits, PROMPTS))
        for stream in busy:
            stream.cancel()
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def greedy(model: Model, prompt: list[int]) -> list[int]:
    return model.generate(prompt, temperature=0, max_tokens=8).tokens
