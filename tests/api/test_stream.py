"""Streams in plain loops."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from idle import (
    DECODE,
    MOST,
    PATIENCE,
    given_up,
    is_idle,
    long_prompt,
    n_computed,
    wait_until_busy,
)

from farthing import FarthingError, Model, TokenStream
from models import ID, STORY, STORY_TEXT, Tiny


def test_pieces_join_to_the_text(story: Model) -> None:
    stream = story.stream("Once upon", temperature=0, logprobs=0)
    pieces = list(stream)
    assert pieces == [" a", " time", ",", " the", " caf", "é", " cat", " found", " ", "🦊", "."]
    assert stream.result.text == "".join(pieces) == STORY_TEXT.removeprefix(" Once upon")
    assert [entry.token for entry in stream.result.logprobs or []] == stream.result.tokens


def test_there_is_no_result_before_the_end(story: Model) -> None:
    with story.stream("Once", temperature=0) as stream:
        with pytest.raises(FarthingError, match="not finished"):
            _ = stream.result
        next(iter(stream))
    assert stream.result.text == " upon"


def test_a_stream_that_ended_stays_ended(story: Model) -> None:
    stream = story.stream("found", temperature=0)
    assert stream.wait().text == " 🦊."
    stream.cancel()
    assert list(stream) == []
    assert stream.result.finish_reason == "stop"


def test_text_that_may_become_a_stop_string_is_held_back(story: Model) -> None:
    stream = story.stream("Once", temperature=0, stop=[" time machine"])
    assert [piece for piece, _ in zip(stream, range(3), strict=False)] == [" upon", " a", " time,"]


def test_a_cancelled_result_is_what_was_handed_out(story: Model) -> None:
    stream = story.stream("Once", temperature=0)
    pieces = []
    for piece in stream:
        pieces.append(piece)
        if len(pieces) == 5:
            stream.cancel()
    result = stream.result
    assert pieces == [" upon", " a", " time", ",", " the"]
    assert (result.text, result.finish_reason) == ("".join(pieces), "cancelled")
    assert result.tokens == [ID[piece] for piece in STORY[1:6]]
    assert result.usage.completion_tokens == 5


def test_a_stream_keeps_its_model(story_path: Path) -> None:
    stream = Model(story_path).stream("Once upon", temperature=0)
    gc.collect()
    assert stream.wait().text.endswith("🦊.")


def break_out(stream: TokenStream) -> None:
    for _ in stream:
        break


def close_the_iterator(stream: TokenStream) -> None:
    pieces = iter(stream)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]


def leave_the_block(stream: TokenStream) -> None:
    with stream:
        next(iter(stream))


def raise_in_the_loop(stream: TokenStream) -> None:
    def fail() -> None:
        for _ in stream:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def cancel(stream: TokenStream) -> None:
    next(iter(stream))
    stream.cancel()


@pytest.mark.parametrize(
    "leave", [break_out, close_the_iterator, leave_the_block, raise_in_the_loop, cancel]
)
def test_leaving_stops_decoding(slow: Model, leave: Callable[[TokenStream], None]) -> None:
    with given_up(slow):
        stream = slow.stream(DECODE, temperature=0)
        leave(stream)
    assert stream.result.finish_reason == "cancelled"


def test_dropping_a_stream_stops_it(slow: Model) -> None:
    with given_up(slow):
        stream = slow.stream(long_prompt())
        wait_until_busy(slow)
        del stream


@pytest.mark.parametrize("prompt", [long_prompt, lambda: DECODE], ids=["prefill", "decode"])
def test_cancelling_from_another_thread(slow: Model, prompt: Callable[[], list[int]]) -> None:
    with given_up(slow):
        stream = slow.stream(prompt(), temperature=0)
        reader = threading.Thread(target=lambda: list(stream))
        reader.start()
        wait_until_busy(slow)
        time.sleep(0.05)
        assert not is_idle(slow)
        stream.cancel()
    reader.join(PATIENCE)
    assert not reader.is_alive()


def test_closing_the_model_ends_its_streams(folder: Path, slow_path: Path) -> None:
    model = Model(slow_path)
    model._engine.start_profile()
    stream = model.stream(long_prompt())
    wait_until_busy(model)
    model.close()
    assert n_computed(model) < MOST
    assert list(stream) == []
    assert stream.result.finish_reason == "cancelled"


def test_stop_strings_free_the_engine(slow: Model) -> None:
    with given_up(slow):
        completion = slow.generate(DECODE, temperature=0, stop=",")
    assert completion.text == " upon a time"


def test_sync_streams_leave_nothing_behind(folder: Path) -> None:
    with Model(Tiny().write(folder / "left.gguf")) as model:
        for _ in range(5):
            model.stream("Once", temperature=0, max_tokens=1).wait()
            assert model._engine.wait_ready(0) == []
            assert is_idle(model)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage of other tests is collected meanwhile: Python loses what is raised within that."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_ctrl_c_is_never_lost(story: Model) -> None:
    """It may come at any call that is made for a piece."""

    for nth in itertools.count(1):
        stream = story.stream("Once", temperature=0, max_tokens=20, ignore_eos=True)
        calls = 0

        def trace(frame: FrameType, event: str, argument: object, last: int = nth) -> None:
            nonlocal calls
            calls += 1
            if calls == last:
                sys.settrace(None)
                raise KeyboardInterrupt

        try:
            sys.settrace(trace)
            list(stream)
        except KeyboardInterrupt:
            continue
        finally:
            sys.settrace(None)
        assert calls < nth, f"call {nth} lost it"
        break
    assert nth > 100
