"""Python functions within a generation: what they see, change and break."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from idle import PATIENCE

from farthing import FarthingError, Model, RequestError, _native
from models import ID, PIECES

Ids = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

PROMPT = [ID["<s>"], ID["▁Once"]]


def only(token: int) -> Any:
    def processor(input_ids: Ids, scores: Scores) -> Scores:
        scores[:] = -np.inf
        scores[token] = 0.0
        return scores

    return processor


def test_it_sees_the_tokens_and_the_logits(story: Model) -> None:
    seen: list[tuple[Ids, Scores]] = []

    def spy(input_ids: Ids, scores: Scores) -> Scores:
        seen.append((input_ids, scores.copy()))
        return scores

    plain = story.generate(PROMPT, temperature=0, max_tokens=4)
    spied = story.generate(PROMPT, temperature=0, max_tokens=4, logits_processor=spy)
    assert spied.tokens == plain.tokens
    logits = story.logits([*PROMPT, *plain.tokens])
    assert len(seen) == 4
    for n, (input_ids, scores) in enumerate(seen):
        assert (input_ids.dtype, scores.dtype) == (np.int64, np.float32)
        assert input_ids.tolist() == [*PROMPT, *plain.tokens[:n]]
        assert scores == pytest.approx(logits[len(PROMPT) - 1 + n], abs=1e-5)


def test_what_it_returns_is_used_before_everything_else(story: Model) -> None:
    x = ID["x"]
    assert story.generate("Once", max_tokens=3, logits_processor=only(x)).text == "xxx"
    with pytest.raises(FarthingError, match="no token can be chosen"):
        story.generate("x", max_tokens=1, logits_processor=only(x), logit_bias={x: -np.inf})
    greedy = story.generate("x", temperature=0, max_tokens=2, logits_processor=only(x))
    assert greedy.text == "xx"


def test_several_are_called_one_after_the_other(story: Model) -> None:
    def swap(input_ids: Ids, scores: Scores) -> list[float]:
        other = scores.astype(np.float64)
        other[[ID["x"], ID["a"]]] = other[[ID["a"], ID["x"]]]
        return other.tolist()

    options: dict[str, Any] = {"max_tokens": 2, "seed": 1}
    both = story.generate("Once", logits_processor=[only(ID["x"]), swap], **options)
    assert both.text == "aa"
    assert story.generate("Once", logits_processor=[swap, only(ID["x"])], **options).text == "xx"
    none = story.generate("Once", temperature=0, max_tokens=1, logits_processor=[])
    assert none.tokens == [ID["▁upon"]]


def test_logprobs_stay_the_models(story: Model) -> None:
    options: dict[str, Any] = {"max_tokens": 1, "temperature": 0, "logprobs": 1}
    plain = story.generate("Once", **options).logprobs
    forced = story.generate("Once", logits_processor=only(ID["x"]), **options).logprobs
    assert plain is not None
    assert forced is not None
    assert forced[0].text == "x"
    assert forced[0].top == plain[0].top


def test_an_exception_ends_its_own_request_alone(story: Model) -> None:
    error = KeyError("of mine")

    def broken(input_ids: Ids, scores: Scores) -> Scores:
        if len(input_ids) > 4:
            raise error
        return scores

    async def run() -> None:
        options: dict[str, Any] = {"temperature": 0, "max_tokens": 7}
        stream = story.stream("Once", **options, logits_processor=broken)
        others = [story.agenerate("Once", **options) for _ in range(3)]
        gathered = asyncio.gather(*others)
        pieces: list[str] = []

        async def read() -> None:
            async for piece in stream:
                pieces.append(piece)

        with pytest.raises(FarthingError, match="logits_processor raised KeyError") as raised:
            await read()
        assert raised.value.__cause__ is error
        assert pieces == [" upon", " a", " time"]
        expected = story.generate("Once", **options).text
        assert [other.text for other in await gathered] == [expected] * 3

    asyncio.run(run())
    assert story.generate("Once", temperature=0, max_tokens=1).text == " upon"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "logits_processor raised"),
        (np.zeros(3), rf"shape \({len(PIECES)},\), but gave \(3,\)"),
        (np.zeros((1, len(PIECES))), r"but gave \(1, "),
        ("scores", "logits_processor raised ValueError"),
        (np.full(len(PIECES), np.nan), "logits_processor gave NaN as the logit of token 0"),
        (np.full(len(PIECES), -np.inf), "no token can be chosen"),
    ],
)
def test_bad_scores_are_named(story: Model, returned: Any, message: str) -> None:
    with pytest.raises(FarthingError, match=message):
        story.generate("x", max_tokens=1, logits_processor=lambda input_ids, scores: returned)


def test_it_must_be_callable(story: Model) -> None:
    with pytest.raises(RequestError, match="logits_processor must be callable, got 3"):
        story.generate("x", logits_processor=[only(1), 3])  # type: ignore[list-item]


def test_the_model_itself_is_out_of_reach_within_it(story: Model, slow_path: Path) -> None:
    running = story.stream("Once", max_tokens=5)
    attempts = [
        lambda: story.generate("x", max_tokens=1),
        lambda: story.logits([1]),
        lambda: asyncio.run(story.agenerate("x", max_tokens=1)),
        lambda: list(running),
    ]
    for attempt in attempts:

        def processor(input_ids: Ids, scores: Scores, attempt: Any = attempt) -> Scores:
            attempt()
            return scores

        with pytest.raises(FarthingError, match="logits_processor raised") as raised:
            story.generate("x", max_tokens=1, logits_processor=processor)
        assert "of the model that waits for it" in str(raised.value.__cause__)

    with Model(slow_path, n_ctx=64) as other:

        def guided(input_ids: Ids, scores: Scores) -> Scores:
            return scores + other.logits(input_ids)[-1]

        guided_by = {"temperature": 0, "max_tokens": 3, "logits_processor": guided}
        assert story.generate(PROMPT, **guided_by).tokens


def test_closing_and_cancelling_within_it(story_path: Path) -> None:
    with Model(story_path) as model:
        streams = []

        def cancel(input_ids: Ids, scores: Scores) -> Scores:
            streams[0].cancel()
            return scores

        release = threading.Event()

        def hold(input_ids: Ids, scores: Scores) -> Scores:
            release.wait()
            return scores

        options: dict[str, Any] = {"temperature": 0, "ignore_eos": True}
        first = model.stream("x", max_tokens=1, logits_processor=hold, **options)
        streams.append(model.stream("x", max_tokens=5, logits_processor=cancel, **options))
        release.set()
        assert first.wait().finish_reason == "length"
        assert list(streams[0]) == []
        assert streams[0].result.finish_reason == "cancelled"

        def close(input_ids: Ids, scores: Scores) -> Scores:
            model.close()
            return scores

        closed = model.generate("x", logits_processor=close, **options)
        assert closed.finish_reason == "cancelled"
        with pytest.raises(FarthingError, match="closed"):
            model.generate("x")


def test_closing_from_outside_waits_for_it(story_path: Path) -> None:
    model = Model(story_path)
    entered = threading.Event()

    def slow(input_ids: Ids, scores: Scores) -> Scores:
        entered.set()
        time.sleep(0.2)
        return scores

    stream = model.stream("x", max_tokens=50, ignore_eos=True, logits_processor=slow)
    entered.wait()
    model.close()
    assert stream.wait().finish_reason == "cancelled"


def test_an_engine_dropped_unclosed_ends(story_path: Path) -> None:
    engine = _native.Engine(_native.Gguf(story_path))
    entered = threading.Event()

    def slow(input_ids: Ids, scores: Scores) -> Scores:
        entered.set()
        time.sleep(0.05)
        return scores

    request = engine.submit([1], {"max_tokens": 500}, logits_processor=[slow])
    entered.wait()
    del engine
    assert isinstance(request.take(10)[-1], _native.Finished)


def test_a_busy_interpreter_does_not_stop_it(story: Model) -> None:
    stream = story.stream("Once", max_tokens=20, ignore_eos=True, logits_processor=only(ID["x"]))
    busy_until = time.monotonic() + 0.3
    while time.monotonic() < busy_until:
        pass
    assert stream.wait().text == "x" * 20


def test_it_is_let_go_of(story: Model) -> None:
    processor = only(ID["x"])
    reference = weakref.ref(processor)
    story.generate("Once", max_tokens=2, logits_processor=processor)
    del processor
    # What the engine's thread drops is freed when the next call comes.
    story.generate("Once", max_tokens=1)
    gc.collect()
    assert reference() is None


def test_ctrl_c_gets_through(story_path: Path) -> None:
    code = """
import sys, time
from farthing import Model

def slow(input_ids, scores):
    print("called", flush=True)
    time.sleep(0.05)
    return scores

try:
    Model(sys.argv[1]).generate("x", max_tokens=500, ignore_eos=True, logits_processor=slow)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, story_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "called\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert output.endswith("interrupted\n")
    assert process.returncode == 0
