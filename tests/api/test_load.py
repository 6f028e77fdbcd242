"""More requests than a model computes at a time: the queue, priorities and timeouts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from idle import DECODE, PATIENCE, is_idle, long_prompt, wait_until_busy

from farthing import FarthingError, Model, QueueFullError, RequestError
from models import ROUND, Shape, Tiny

Ids = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def narrow(folder: Path) -> Iterator[Model]:
    """One request at a time, and two that wait; it never ends by itself."""
    path = Tiny(Shape(context=20_000), story=ROUND).write(folder / "narrow.gguf")
    with Model(path, max_sequences=1, max_queue=2) as model:
        yield model


def test_a_full_queue_refuses_at_once(slow_path: Path) -> None:
    with Model(slow_path, max_sequences=2, max_queue=3) as model:
        streams = [model.stream(DECODE, context_shift=True) for _ in range(5)]
        # They would go on for ever, and so would who waits for them.
        with pytest.raises(QueueFullError, match=r"may run \(2\) and wait \(3\), 5 have not ended"):
            model.stream(DECODE)
        with pytest.raises(QueueFullError):
            model.logits(DECODE)
        with pytest.raises(FarthingError, match="the queue is full"):
            asyncio.run(model.agenerate(DECODE))
        for stream in streams:
            stream.cancel()
        # They end with the pass in progress.
        end = time.perf_counter() + PATIENCE
        while time.perf_counter() < end:
            with contextlib.suppress(QueueFullError):
                assert len(model.generate(DECODE, max_tokens=3).tokens) == 3
                break
            time.sleep(0.01)
        else:
            pytest.fail("the queue stays full")


def test_without_a_queue_one_follows_the_other(folder: Path) -> None:
    with Model(Tiny().write(folder / "alone.gguf"), max_sequences=1, max_queue=0) as model:
        for _ in range(50):
            model.generate("Once", max_tokens=2)
            assert is_idle(model)


def test_any_number_may_wait(folder: Path) -> None:
    path = Tiny().write(folder / "any.gguf")
    with Model(path, max_sequences=1, max_queue=None) as model:
        assert model.info["max_queue"] is None
        streams = [model.stream("Once", temperature=0, max_tokens=1) for _ in range(1100)]
        assert all(stream.wait().finish_reason == "length" for stream in streams)


def test_a_higher_priority_is_next(narrow: Model) -> None:
    running = narrow.stream(DECODE, context_shift=True)
    wait_until_busy(narrow)
    order: list[int] = []

    def work(priority: int) -> None:
        def note(input_ids: Ids, scores: Scores) -> Scores:
            order.append(priority)
            return scores

        narrow.generate(DECODE, max_tokens=1, priority=priority, logits_processor=note)

    threads = [threading.Thread(target=work, args=[priority]) for priority in (-1, 5)]
    for n_waiting, thread in enumerate(threads, 1):
        thread.start()
        while narrow._engine.status["waiting"] < n_waiting:
            time.sleep(0.001)
    running.cancel()
    for thread in threads:
        thread.join()
    assert order == [5, -1]


def test_a_timeout_ends_a_generation_as_far_as_it_came(slow: Model) -> None:
    # Where other programs leave it no time, there may be no token in less.
    for timeout in (0.2, 2, 20, PATIENCE):
        start = time.perf_counter()
        stream = slow.stream(DECODE, temperature=0, timeout=timeout)
        pieces = list(stream)
        assert time.perf_counter() - start >= timeout
        result = stream.result
        if len(result.tokens) > 1:
            break
    assert result.finish_reason == "timeout"
    assert result.text == "".join(pieces).rstrip("\ufffd")
    assert len(result.tokens) == result.usage.completion_tokens > 1
    assert slow.generate(DECODE, max_tokens=1, timeout=60).finish_reason == "length"


async def test_a_timeout_counts_the_prompt_and_the_queue(slow: Model, narrow: Model) -> None:
    result = await slow.agenerate(long_prompt(), timeout=0.1)
    assert (result.finish_reason, result.tokens) == ("timeout", [])
    async with narrow.stream(DECODE, context_shift=True) as running:
        pieces = aiter(running)
        await anext(pieces)
        waiting = await narrow.agenerate(DECODE, timeout=0.05)
        assert (waiting.finish_reason, waiting.text) == ("timeout", "")
        assert waiting.usage.prompt_tokens == 1
    at_once = await narrow.agenerate(DECODE, timeout=0)
    assert at_once.finish_reason == "timeout"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": -1}, "timeout is -1, but must be a length of time, 0 or more"),
        ({"timeout": float("nan")}, "timeout is NaN, but must be"),
        ({"timeout": "soon"}, "timeout is 'soon', but must be a number"),
        ({"priority": 1.5}, "priority is 1.5, but must be an integer of 32 bits"),
        ({"priority": 2**40}, "priority is 1099511627776, but must be"),
    ],
)
def test_bad_values_are_named(narrow: Model, options: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        narrow.generate(DECODE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_queue": -1}, "max_queue is -1, but must be 0 or more"),
        ({"max_gap_ms": -5}, "max_gap_ms is -5, but must be a length of time"),
        ({"max_gap_ms": float("inf")}, "max_gap_ms is inf, but must be"),
    ],
)
def test_bad_limits_are_named(story_path: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Model(story_path, **options)  # type: ignore[arg-type]


def test_a_running_stream_goes_on_beside_a_long_prompt(slow_path: Path) -> None:
    def tokens_meanwhile(max_gap_ms: float | None) -> int:
        """What a stream generates while a prompt of four full passes is computed."""
        generating, submitted = threading.Event(), threading.Event()
        n = n_at_end = 0

        def count(input_ids: Ids, scores: Scores) -> Scores:
            nonlocal n
            n += 1
            generating.set()
            submitted.wait()
            return scores

        def note(input_ids: Ids, scores: Scores) -> Scores:
            nonlocal n_at_end
            n_at_end = n
            return scores

        with Model(slow_path, max_gap_ms=max_gap_ms, n_draft_max=0) as model:
            stream = model.stream(DECODE, logits_processor=count)
            generating.wait()
            prompt = model.stream(long_prompt(2000), max_tokens=1, logits_processor=note)
            submitted.set()
            prompt.wait()
            stream.cancel()
        return n_at_end

    # No machine computes more than the smallest piece of a prompt, 16 tokens, in no time.
    assert tokens_meanwhile(0) > 100
    assert tokens_meanwhile(None) < 10
