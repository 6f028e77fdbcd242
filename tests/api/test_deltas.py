"""Pieces of streams with their tokens and log-probabilities."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from farthing import Model, TextDelta
from models import ID, STORY_TEXT

OPTIONS: dict[str, Any] = {"temperature": 0, "logprobs": 2}


def text_deltas(model: Model, **options: Any) -> tuple[list[TextDelta], Any]:
    """Read once by `for` and once by `async for`, which must be the same."""

    async def read() -> list[TextDelta]:
        return [delta async for delta in model.stream("Once", **options).deltas()]

    stream = model.stream("Once", **options)
    deltas = list(stream.deltas())
    assert asyncio.run(read()) == deltas
    return deltas, stream.result


@pytest.mark.parametrize(
    "stop", [(), " time machine", "me, the", "found 🦊", "é", " cat found cat"]
)
def test_deltas_make_up_the_completion(story: Model, stop: str) -> None:
    deltas, result = text_deltas(story, stop=stop, **OPTIONS)
    assert "".join(delta.text for delta in deltas) == result.text
    assert [token for delta in deltas for token in delta.tokens] == result.tokens
    assert [entry for delta in deltas for entry in delta.logprobs or ()] == result.logprobs
    assert all(delta.text or delta.tokens for delta in deltas)


def test_a_piece_has_its_own_tokens(story: Model) -> None:
    deltas, _ = text_deltas(story, stop=" time machine", **OPTIONS)
    by_text = {delta.text: delta for delta in deltas}
    # Held back until the comma came, and a character of two tokens.
    assert by_text[" time,"].tokens == (ID["▁time"], ID[","])
    assert by_text["é"].tokens == (ID["<0xC3>"], ID["<0xA9>"])
    upon = by_text[" upon"]
    assert upon.logprobs is not None
    assert [(entry.text, len(entry.top)) for entry in upon.logprobs] == [(" upon", 2)]


def test_without_logprobs_there_are_tokens_alone(story: Model) -> None:
    deltas, result = text_deltas(story, temperature=0)
    assert all(delta.logprobs is None for delta in deltas)
    assert [token for delta in deltas for token in delta.tokens] == result.tokens


def test_a_loop_that_is_left_has_what_was_handed_out(story: Model) -> None:
    stream = story.stream("Once", **OPTIONS)
    tokens: list[int] = []
    for delta in stream.deltas():
        tokens += delta.tokens
        if delta.text == " a":
            break
    assert stream.result.tokens == tokens == [ID["▁upon"], ID["▁a"]]


def test_a_chats_deltas_have_them_too(story: Model) -> None:
    messages = [{"role": "user", "content": "Well?"}]
    stream = story.chat_stream(messages, **OPTIONS)
    deltas = list(stream.deltas())
    assert "".join(delta.content for delta in deltas) == stream.result.text == STORY_TEXT
    assert [token for delta in deltas for token in delta.tokens] == stream.result.tokens
    logprobs = [entry for delta in deltas for entry in delta.logprobs or ()]
    assert logprobs == stream.result.logprobs
