"""Tool calls and reasoning in chats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing import ChatDelta, FunctionCall, FunctionCallDelta, Model, RequestError
from farthing.api.chat import ChatSoFar, shown_tokens
from farthing.chat.parser import OutputParser
from farthing.chat.reasoning import named
from farthing.chat.tools import Plan, generic
from models import Tiny

TEMPLATE = (
    "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}"
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}<|assistant|>"
)
CALLS = ("<|tool_call_start|>", *"[get(a=1)]", "<|tool_call_end|>", "</s>")
HELLO = [{"role": "user", "content": "x"}]


def get(a: int) -> int:
    """Get."""
    return a


@pytest.fixture(scope="module")
def calling(folder: Path) -> Iterator[Model]:
    """A model that calls a tool."""
    path = Tiny(story=CALLS, chat_template=TEMPLATE).write(folder / "calling.gguf")
    with Model(path) as model:
        yield model


def test_a_tool_call(calling: Model) -> None:
    completion = calling.chat(HELLO, tools=[get], temperature=0)
    (call,) = completion.tool_calls
    assert call.function == FunctionCall("get", '{"a": 1}')
    assert call.complete
    assert completion.finish_reason == "tool_calls"
    assert completion.text == ""
    assert completion.message == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": "get", "arguments": '{"a": 1}'},
            }
        ],
    }


def test_the_message_can_be_sent_back(calling: Model) -> None:
    completion = calling.chat(HELLO, tools=[get], temperature=0)
    result = {"role": "tool", "tool_call_id": completion.tool_calls[0].id, "content": "1"}
    again = calling.chat([*HELLO, completion.message, result], tools=[get], max_tokens=1)
    assert again.usage.prompt_tokens > completion.usage.prompt_tokens


def test_deltas(calling: Model) -> None:
    stream = calling.chat_stream(HELLO, tools=[get], temperature=0)
    (delta,) = list(stream.deltas())
    (piece,) = delta.tool_calls
    (call,) = stream.result.tool_calls
    assert (piece.index, piece.id, piece.function) == (
        0,
        call.id,
        FunctionCallDelta("get", '{"a": 1}'),
    )


async def test_deltas_for_asyncio(calling: Model) -> None:
    stream = calling.chat_stream(HELLO, tools=[get], temperature=0)
    deltas = [delta async for delta in stream.deltas()]
    assert len(deltas) == 1
    completion = await calling.achat(HELLO, tools=[get], temperature=0)
    assert completion.tool_calls[0].function == stream.result.tool_calls[0].function


def test_the_content_has_no_calls(calling: Model) -> None:
    assert list(calling.chat_stream(HELLO, tools=[get], temperature=0)) == []


def test_without_tools_nothing_is_parsed(calling: Model) -> None:
    for options in ({}, {"tools": [get], "tool_choice": "none"}):
        completion = calling.chat(HELLO, temperature=0, **options)  # type: ignore[arg-type]
        assert completion.text == "[get(a=1)]"
        assert completion.finish_reason == "stop"
        assert completion.tool_calls == ()


def test_a_call_cut_off(calling: Model) -> None:
    completion = calling.chat(HELLO, tools=[get], temperature=0, max_tokens=5)
    assert completion.text == "<|tool_call_start|>[get"
    assert completion.finish_reason == "length"


def test_a_stop_string_within_a_call(calling: Model) -> None:
    completion = calling.chat(HELLO, tools=[get], temperature=0, stop=["("])
    assert completion.text == "<|tool_call_start|>[get"
    assert completion.finish_reason == "stop"


def test_required(calling: Model) -> None:
    completion = calling.chat(HELLO, tools=[get], temperature=0, tool_choice="required")
    assert [call.function.name for call in completion.tool_calls] == ["get"]


def test_wrong_options(calling: Model) -> None:
    with pytest.raises(TypeError, match="did you mean 'tool_choice'"):
        calling.chat(HELLO, tool_choise="auto")  # type: ignore[call-arg]
    with pytest.raises(RequestError, match="tool_format 'x'"):
        calling.chat(HELLO, tools=[get], tool_format="x")


def test_reasoning(story: Model) -> None:
    tokenizer = story.tokenizer
    parser = OutputParser(generic.FORMAT, Plan(named("think")))
    pieces = ChatSoFar(tokenizer, [], parser, frozenset())
    deltas = []
    for token in tokenizer.encode("<think>a</think> b", add_special=False):
        if (delta := pieces.push(token)) is not None:
            deltas.append(delta)
    assert deltas == [ChatDelta(reasoning_content="a"), ChatDelta(content="b")]
    assert pieces.flush() is None
    assert pieces.spoken().reasoning_content == "a"


def test_only_tokens_of_markers_are_shown(calling: Model) -> None:
    tokenizer = calling.tokenizer
    shown = shown_tokens(tokenizer, ("<|tool_call_start|>", "x"))
    assert [tokenizer.token_text(token) for token in shown] == ["<|tool_call_start|>"]


async def test_leaving_deltas_stops_the_computation(slow: Model) -> None:
    stream = slow.chat_stream(HELLO)
    async for _ in stream.deltas():
        break
    assert stream.result.finish_reason == "cancelled"
    for _ in (other := slow.chat_stream(HELLO)).deltas():
        break
    assert other.result.finish_reason == "cancelled"
