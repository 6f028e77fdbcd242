"""Several answers to a prompt, and many prompts at once."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from idle import DECODE, given_up, long_prompt, wait_until_busy, wait_until_idle

import farthing
from farthing import BatchError, Completion, ContextLengthError, Model, RequestError
from models import ID, STORY_TEXT, Tiny

RANDOM = {"temperature": 50.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
CHAT = [{"role": "user", "content": "?"}]


def test_n_answers_have_seeds_of_their_own(story: Model) -> None:
    options = {**RANDOM, "max_tokens": 12}
    result = story.generate("Once", n=3, seed=7, **options)
    assert result.choices == (result, *result.others)
    assert len(result.choices) == 3
    alone = [story.generate("Once", seed=7 + i, **options) for i in range(3)]
    assert [choice.tokens for choice in result.choices] == [answer.tokens for answer in alone]
    assert len({tuple(choice.tokens) for choice in result.choices}) == 3
    assert alone[0].choices == (alone[0],)
    assert [choice.usage.completion_tokens for choice in result.choices] == [12, 12, 12]
    unseeded = story.generate("Once", n=2, ignore_eos=True, **options)
    assert unseeded.tokens != unseeded.others[0].tokens
    last = story.generate("Once", n=2, seed=2**64 - 1, **options)
    assert last.others[0].tokens == story.generate("Once", seed=0, **options).tokens


def test_n_answers_compute_the_prompt_once(slow: Model) -> None:
    result = slow.generate(long_prompt(700), n=4, max_tokens=2, seed=1)
    cached = sorted(c.usage.prompt_tokens_details.cached_tokens for c in result.choices)
    assert cached[0] == 0
    assert all(n >= 640 for n in cached[1:])


async def test_n_answers_in_all_forms(story: Model) -> None:
    rest = STORY_TEXT.removeprefix(" Once upon")
    options = {"temperature": 0.0, "stop": iter([" cat"])}
    result = await story.agenerate("Once upon", n=2, **options)
    assert [c.text for c in result.choices] == [rest.partition(" cat")[0]] * 2
    assert [c.finish_reason for c in result.choices] == ["stop"] * 2
    chat = story.chat(iter(CHAT), n=2, temperature=0)
    assert [c.text for c in chat.choices] == [STORY_TEXT] * 2
    chat = await story.achat(CHAT, n=5, temperature=0)
    assert [c.message["content"] for c in chat.choices] == [STORY_TEXT] * 5


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", None])
def test_n_must_be_a_number(story: Model, n: object) -> None:
    with pytest.raises(RequestError, match=f"n is {n!r}, but must be an integer of 1 or more"):
        story.generate("Once", n=n)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="top_p is 2"):
        story.generate("Once", n=2, top_p=2)
    with pytest.raises(RequestError, match="seed is 'x'"):
        story.generate("Once", n=2, seed="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'sead'"):
        story.generate("Once", n=2, sead=1)  # type: ignore[call-arg]


def batch(model: Model, kind: str, prompts: object, **options: object) -> list[Completion]:
    if kind == "threads":
        return model.generate_batch(prompts, **options)  # type: ignore[arg-type]
    return asyncio.run(model.agenerate_batch(prompts, **options))  # type: ignore[arg-type]


both = pytest.mark.parametrize("kind", ["threads", "asyncio"])


@both
def test_a_batch_gives_what_each_gives_alone(story: Model, kind: str) -> None:
    words = ["Once", "Once upon", "the", "a", "found", "time"]
    prompts = [words[i % 6] + " x" * (i % 5) for i in range(60)] + [[ID["<s>"], ID["▁Once"]]]
    options = {**RANDOM, "seed": 5, "max_tokens": 9}
    results = batch(story, kind, prompts, **options)
    alone = [story.generate(prompt, **options) for prompt in prompts]
    assert [r.tokens for r in results] == [r.tokens for r in alone]
    assert batch(story, kind, []) == []


@both
def test_an_impossible_prompt_is_named_before_anything_starts(story: Model, kind: str) -> None:
    wait_until_idle(story)
    done = story._engine.status
    with pytest.raises(ContextLengthError, match=r"prompts\[2\]: the prompt has 600 tokens"):
        batch(story, kind, ["Once", "Once", [5] * 600])
    with pytest.raises(RequestError, match=r"prompts\[1\]: tokens\[0\] is 100000"):
        batch(story, kind, ["Once", [100_000]])
    with pytest.raises(RequestError, match="min_p is 7"):
        batch(story, kind, ["Once"], min_p=7)
    with pytest.raises(RequestError, match="prompts is a str"):
        batch(story, kind, "Once")
    assert story._engine.status == done


@both
def test_what_fails_does_not_lose_the_others(folder: Path, kind: str) -> None:
    """A token's embedding that is no number fails the prompts with it."""
    path = Tiny(broken=ID["x"]).write(folder / f"broken-{kind}.gguf")
    with Model(path) as model:
        with pytest.raises(BatchError, match=r"2 of 4 prompts failed, first prompts\[1\]") as info:
            batch(model, kind, ["Once", "x", "Once upon", "x x"], temperature=0)
        good, bad, better, worse = info.value.results
        assert (good.text, better.text) == (
            STORY_TEXT.removeprefix(" Once"),
            STORY_TEXT.removeprefix(" Once upon"),
        )
        assert all("NaN" in str(error) for error in (bad, worse))
        with pytest.raises(farthing.FarthingError, match="NaN"):
            model.generate("x", n=2)


@both
@pytest.mark.parametrize("max_queue", [0, 3])
def test_a_batch_is_larger_than_the_queue(folder: Path, kind: str, max_queue: int) -> None:
    path = Tiny().write(folder / "queue.gguf")
    with Model(path, max_sequences=2, max_queue=max_queue) as model:
        results = batch(model, kind, ["Once upon"] * 40, temperature=0)
        assert {r.text for r in results} == {STORY_TEXT.removeprefix(" Once upon")}


def test_a_stop_string_ends_each_at_once(slow: Model) -> None:
    results = slow.generate_batch([DECODE] * 12, temperature=0, stop=",")
    assert {r.text for r in results} == {" upon a time"}


Cancel = Callable[[Model], None]


def interrupt_the_thread(model: Model) -> None:
    reader = threading.get_ident()

    def work() -> None:
        wait_until_busy(model)
        time.sleep(0.05)
        signal.pthread_kill(reader, signal.SIGINT)

    threading.Thread(target=work).start()
    with pytest.raises(KeyboardInterrupt):
        model.generate_batch([DECODE] * 30)


def cancel_the_task(model: Model) -> None:
    async def work() -> None:
        task = asyncio.create_task(model.agenerate_batch([DECODE] * 30))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())


@pytest.mark.parametrize("cancel", [interrupt_the_thread, cancel_the_task])
def test_leaving_a_batch_stops_all_of_it(slow: Model, cancel: Cancel) -> None:
    with given_up(slow):
        cancel(slow)
