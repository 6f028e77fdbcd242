"""Streams and generation under asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from idle import DECODE, given_up, is_idle, long_prompt, wait_until_idle

from farthing import Model, TokenStream
from models import STORY_TEXT


async def test_agenerate_and_streams(story: Model) -> None:
    rest = STORY_TEXT.removeprefix(" Once upon")
    assert (await story.agenerate("Once upon", temperature=0)).text == rest
    stream = story.stream("Once upon", temperature=0)
    assert "".join([piece async for piece in stream]) == stream.result.text == rest
    assert (await story.achat([{"role": "user", "content": "?"}], temperature=0)).text == STORY_TEXT
    async with story.chat_stream([{"role": "user", "content": "?"}], temperature=0) as chat:
        assert "".join([piece async for piece in chat]) == STORY_TEXT


async def test_the_loop_goes_on_through_a_long_prefill(slow: Model) -> None:
    prefill = asyncio.create_task(slow.agenerate(long_prompt(), max_tokens=1, seed=1))
    beats = 0
    while not prefill.done():
        await asyncio.sleep(0.001)
        beats += 1
    # Of the prompt's 32 passes none holds the loop up.
    assert beats > 100


async def test_many_at_once(story: Model) -> None:
    answers = await asyncio.gather(
        *(story.agenerate("Once upon", temperature=0, stop=".") for _ in range(40))
    )
    assert {answer.text for answer in answers} == {" a time, the café cat found 🦊"}


async def break_out(stream: TokenStream) -> None:
    async for _ in stream:
        break


async def leave_the_block(stream: TokenStream) -> None:
    async with stream:
        async for _ in stream:
            return


async def close(stream: TokenStream) -> None:
    async with contextlib.aclosing(stream):
        await anext(aiter(stream))


async def cancel(stream: TokenStream) -> None:
    pieces = aiter(stream)
    await anext(pieces)
    stream.cancel()
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)


async def cancel_the_task(stream: TokenStream) -> None:
    task = asyncio.create_task(stream.await_result())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def time_out(stream: TokenStream) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(stream.await_result(), 0.05)


async def cancel_in_the_loop_body(stream: TokenStream) -> None:
    async def body() -> None:
        async for _ in stream:
            await asyncio.sleep(60)

    task = asyncio.create_task(body())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


Leave = Callable[[TokenStream], Awaitable[None]]


async def begin_and_leave(slow: Model, prompt: list[int], leave: Leave) -> None:
    with given_up(slow):
        stream = slow.stream(prompt, temperature=0)
        await leave(stream)
    assert stream.result.finish_reason == "cancelled"


@pytest.mark.parametrize(
    "leave",
    [
        break_out,
        leave_the_block,
        close,
        cancel,
        cancel_the_task,
        time_out,
        cancel_in_the_loop_body,
    ],
)
async def test_leaving_stops_decoding(slow: Model, leave: Leave) -> None:
    await begin_and_leave(slow, DECODE, leave)


async def cancel_soon(stream: TokenStream) -> None:
    asyncio.get_running_loop().call_later(0.05, stream.cancel)
    assert [piece async for piece in stream] == []


@pytest.mark.parametrize("leave", [cancel_the_task, time_out, cancel_soon])
async def test_leaving_stops_the_prefill(slow: Model, leave: Leave) -> None:
    await begin_and_leave(slow, long_prompt(), leave)


async def test_cancelling_one_leaves_the_others(slow: Model) -> None:
    other = asyncio.create_task(slow.agenerate(DECODE, temperature=0, max_tokens=50))
    stream = slow.stream(long_prompt())
    await cancel_the_task(stream)
    assert len((await other).tokens) == 50


def test_each_loop_gets_its_own(story: Model) -> None:
    for _ in range(3):
        text = asyncio.run(story.agenerate("Once upon", temperature=0)).text
        assert text == STORY_TEXT.removeprefix(" Once upon")


def test_a_closed_loop_ends_its_requests(slow: Model, caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    with caplog.at_level(logging.INFO, "farthing"), given_up(slow):
        stream = slow.stream(DECODE, temperature=0)
        pieces = aiter(stream)
        loop.run_until_complete(anext(pieces))
        loop.close()
    assert "loop was closed" in caplog.text
    stream.cancel()


async def test_closing_the_model_ends_waiting_tasks(slow_path: Path) -> None:
    model = Model(slow_path)
    task = asyncio.create_task(model.agenerate(long_prompt()))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(model.close)
    assert (await task).finish_reason == "cancelled"


def test_closing_waits_for_a_thread_that_is_being_started(
    slow_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(slow_path)
    begun, start = threading.Event(), threading.Thread.start

    def start_late(thread: threading.Thread) -> None:
        if thread.name == "farthing-dispatch":
            begun.set()
            time.sleep(0.1)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_late)
    results = []
    task = threading.Thread(
        target=lambda: results.append(asyncio.run(model.agenerate(DECODE, context_shift=True)))
    )
    task.start()
    begun.wait()
    model.close()
    task.join()
    assert results[0].finish_reason == "cancelled"


async def test_nothing_runs_when_all_is_done(slow: Model) -> None:
    await slow.agenerate(DECODE, max_tokens=2)
    assert is_idle(slow)
    wait_until_idle(slow)
    assert slow._dispatcher._waiters == {}
