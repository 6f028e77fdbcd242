"""Grammars compile beside an event loop, and say there what is wrong with them."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from idle import wait_until_idle

from farthing import FarthingError, Model, RequestError
from farthing.api.starting import Starting

BROKEN = {"json_schema": {"items": {"not": {}}}}
MESSAGES = [{"role": "user", "content": "Which?"}]


@pytest.fixture
def demo() -> Iterator[Model]:
    """A model of its own: what it has compiled is kept."""
    with Model("demo", n_ctx=512) as model:
        yield model


def big(n: int) -> dict[str, list[str]]:
    """A schema that takes a second or so to compile."""
    return {"enum": [f"number {number * 7919}" for number in range(n, n + 40_000)]}


async def longest_gap(work: asyncio.Task[object]) -> float:
    """How long the loop stood still at the most until the work was done."""
    longest, last = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0.002)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    return longest


async def test_the_loop_goes_on_while_a_big_schema_compiles(demo: Model) -> None:
    demo.chat(MESSAGES, max_tokens=1)
    started = time.perf_counter()
    demo.generate("It is", json_schema=big(0), max_tokens=1)
    alone = time.perf_counter() - started
    ways: tuple[Callable[[Any], Coroutine[Any, Any, object]], ...] = (
        lambda schema: demo.agenerate("It is", json_schema=schema, max_tokens=1),
        lambda schema: demo.agenerate("It is", json_schema=schema, max_tokens=1, n=2),
        lambda schema: demo.agenerate_batch(["It is", "a"], json_schema=schema, max_tokens=1),
        lambda schema: demo.achat(MESSAGES, json_schema=schema, max_tokens=1),
        lambda schema: demo.achat(MESSAGES, json_schema=schema, max_tokens=1, n=2),
    )
    schemas = map(big, itertools.count(1))
    for n, way in enumerate(ways):
        # The machine may stand still, but not each time.
        for _ in range(5):
            if await longest_gap(asyncio.ensure_future(way(next(schemas)))) < 0.5 * alone:
                break
        else:
            pytest.fail(f"the loop stands still in way {n}")


async def test_a_stream_begins_beside_the_loop(demo: Model) -> None:
    stream = demo.stream("It is", json_schema=big(0))
    assert isinstance(stream._request, Starting)
    assert not stream._request._request.done()
    pieces = [piece async for piece in stream]
    assert json.loads("".join(pieces)) in big(0)["enum"]
    # A loop that is not asyncio's, within a task.
    assert json.loads("".join(demo.stream("It is", json_schema=big(1)))) in big(1)["enum"]


async def test_errors_are_those_of_the_caller(demo: Model) -> None:
    message = "at /items: not is not supported"
    for work in (
        demo.agenerate("Hello", **BROKEN),
        demo.agenerate("Hello", n=2, **BROKEN),
        demo.achat(MESSAGES, **BROKEN),
        demo.achat(MESSAGES, n=2, **BROKEN),
        demo.agenerate_batch(["a", "b"], **BROKEN),
        anext(aiter(demo.stream("Hello", **BROKEN))),
        anext(aiter(demo.chat_stream(MESSAGES, **BROKEN))),
    ):
        with pytest.raises(RequestError, match=message):
            await work
    with pytest.raises(RequestError, match=message):
        next(iter(demo.stream("Hello", **BROKEN)))
    with pytest.raises(RequestError, match="exclude each other"):
        demo.stream("Hello", regex="a", choices=["b"])


async def test_a_stream_given_up_while_it_compiles_is_cancelled(demo: Model) -> None:
    stream = demo.stream("It is", json_schema=big(0), max_tokens=100)
    await asyncio.sleep(0)
    stream.cancel()
    assert [piece async for piece in stream] == []
    assert stream.result.finish_reason == "cancelled"
    task = asyncio.ensure_future(demo.agenerate("It is", json_schema=big(1)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await demo.agenerate("It is", max_tokens=2)).usage.completion_tokens == 2
    wait_until_idle(demo)


async def test_closing_ends_what_waits_to_be_compiled() -> None:
    model = Model("demo", n_ctx=512)
    tasks = [
        asyncio.ensure_future(model.agenerate("It is", json_schema=big(n), max_tokens=1))
        for n in range(4)
    ]
    await asyncio.sleep(0.01)
    model.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, FarthingError) for result in results), results


async def test_a_full_queue_is_no_bound_for_a_batch() -> None:
    with Model("demo", n_ctx=256, max_sequences=1, max_queue=0) as small:
        answers = await small.agenerate_batch(["a"] * 5, choices=["red", "green"])
    assert {answer.text for answer in answers} <= {"red", "green"}
