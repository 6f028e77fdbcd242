"""Reading what models write, however it arrives."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outputs import CASES, OSLO, TOOLS, Case

from farthing.chat import reasoning, tools
from farthing.chat.output import CallArguments, CallEnd, CallStart, Content, Event, Reasoning
from farthing.chat.parser import OutputParser
from farthing.chat.tools import Plan, ToolSet
from farthing.chat.tools.parts import Json, Members, Part, String, Text
from farthing.errors import RequestError


def parser(
    form: str, thinks: str | None = None, opened: bool = False, with_tools: bool = True
) -> OutputParser:
    thoughts = reasoning.named(thinks) if thinks is not None else None
    plan = Plan(thoughts, opened, ToolSet.of(TOOLS) if with_tools else None)
    ids = map("id{}".format, itertools.count())
    return OutputParser(tools.named(form), plan, lambda: next(ids))


def events(reading: OutputParser, pieces: list[str]) -> list[Event]:
    """All events, neighbours of one kind together."""
    merged: list[Event] = []
    for piece in [*pieces, None]:
        for event in reading.finish() if piece is None else reading.push(piece):
            last = merged[-1] if merged else None
            if isinstance(event, Content | Reasoning) and type(last) is type(event):
                merged[-1] = type(event)(last.text + event.text)  # type: ignore[union-attr]
            elif isinstance(event, CallArguments) and isinstance(last, CallArguments):
                merged[-1] = CallArguments(event.index, last.text + event.text)
            else:
                merged.append(event)
    return merged


def read(case: Case, pieces: list[str]) -> list[Event]:
    return events(parser(case.form, case.thinks, case.opened), pieces)


def calls_of(found: list[Event]) -> list[tuple[str, dict]]:
    names = [event.name for event in found if isinstance(event, CallStart)]
    arguments = [json.loads(event.text) for event in found if isinstance(event, CallArguments)]
    return list(zip(names, arguments, strict=True))


def text_of(found: list[Event], kind: type[Content | Reasoning]) -> str:
    return "".join(event.text for event in found if isinstance(event, kind))


IDS = [f"{case.form}-{place}" for place, case in enumerate(CASES)]


def test_every_format_has_a_case() -> None:
    assert {case.form for case in CASES} == {form.name for form in tools.FORMATS}


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_meaning(case: Case) -> None:
    found = read(case, [case.text])
    assert calls_of(found) == case.calls
    assert text_of(found, Content) == case.content
    assert text_of(found, Reasoning) == case.reasoning
    assert [event.complete for event in found if isinstance(event, CallEnd)] == [True] * len(
        case.calls
    )


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_any_split_gives_the_same(case: Case) -> None:
    text = case.text
    whole = read(case, [text])
    assert read(case, list(text)) == whole
    for place in range(1, len(text)):
        assert read(case, [text[:place], text[place:]]) == whole


@given(st.sampled_from(CASES), st.data())
def test_any_splits_of_any_beginning_give_the_same(case: Case, data: st.DataObject) -> None:
    text = case.text[: data.draw(st.integers(0, len(case.text)))]
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *places, len(text)])]
    assert read(case, pieces) == read(case, [text])


PIECES = [
    *("<tool_call>", "</tool_call>", "<think>", "</think>", "<function=", "[TOOL_CALLS]", "[ARGS]"),
    *("<arg_key>", "</arg_key>", "<|channel|>", "<|message|>", "<|tool_call>", "<tool_call|>"),
    *('{"name": "get_weather"', ', "arguments": {', "}", "[", "]", '"', "\\", "\n", " ", ">>>"),
    *(
        "get_weather",
        "(",
        ")",
        "text",
        "🦊",
        "null",
        "5",
        ",",
        ":",
        "{",
        "call:a{b:",
        "<",
        "|",
        ">",
    ),
]


@given(
    st.sampled_from([form.name for form in tools.FORMATS]),
    st.sampled_from([None, "think"]),
    st.lists(st.sampled_from(PIECES), max_size=25),
)
def test_nonsense_is_read_the_same_in_any_pieces(
    form: str, thinks: str | None, pieces: list[str]
) -> None:
    text = "".join(pieces)
    whole = events(parser(form, thinks), [text])
    assert events(parser(form, thinks), pieces) == whole
    assert events(parser(form, thinks), list(text)) == whole
    starts = [event.index for event in whole if isinstance(event, CallStart)]
    ends = [event.index for event in whole if isinstance(event, CallEnd)]
    assert starts == ends == list(range(len(starts)))


@pytest.mark.parametrize("form", [form.name for form in tools.FORMATS if not form.always])
def test_plain_text_comes_at_once(form: str) -> None:
    reading = parser(form)
    for word in ("It", " is", " 5", " degrees", ".", "\n\nWear", " a", " hat", "!"):
        pushed = reading.push(word)
        assert "".join(event.text for event in pushed if isinstance(event, Content)) == word
    assert reading.finish() == []


def test_only_what_may_become_a_marker_is_held_back() -> None:
    reading = parser("hermes", "think")
    assert reading.push("a <") == [Content("a")]
    assert reading.push("b") == [Content(" <b")]
    assert reading.push("<tool_cal") == []
    assert reading.push("m>") == [Content("<tool_calm>")]
    assert reading.push(" \n") == []
    assert reading.finish() == [Content(" \n")]


def test_a_call_is_streamed() -> None:
    reading = parser("hermes")
    assert reading.push('<tool_call>{"name": "get_weather", "arg') == []
    assert reading.push('uments": {"ci') == [
        CallStart(0, "id0", "get_weather"),
        CallArguments(0, '{"ci'),
    ]
    assert reading.push('ty": "Os') == [CallArguments(0, 'ty": "Os')]
    assert reading.push('lo"}}') == [CallArguments(0, 'lo"}'), CallEnd(0, True)]
    assert reading.push("\n</tool_call>\n") == []
    assert reading.finish() == []


def test_long_texts_in_tags_are_streamed() -> None:
    reading = parser("qwen3-coder")
    reading.push("<tool_call>\n<function=search_files>\n<parameter=pattern>\n")
    assert reading.push('one "two"\n') == [CallArguments(0, 'one \\"two\\"')]
    assert reading.push("three") == [CallArguments(0, "\\nthree")]


@pytest.mark.parametrize(
    ("form", "text", "content", "arguments"),
    [
        ("hermes", "<tool_call>\nno", "<tool_call>\nno", None),
        ("hermes", "<tool_call>", "<tool_call>", None),
        ("hermes", '<tool_call>{"name": ', '<tool_call>{"name": ', None),
        ("hermes", '<tool_call>{"name": "a", "x": 1}</tool_call>', "", "{}"),
        ("hermes", '<tool_call>{"x": 1}</tool_call> b', '<tool_call>{"x": 1}</tool_call> b', None),
        ("hermes", '<tool_call>{"name": "a", "arguments": {"b": "c', "", '{"b": "c'),
        ("hermes", '<tool_call>{"name": "a", "arguments": {"b": }}</tool_call>', "", '{"b": }'),
        ("hermes", '<tool_call>{"name": "a", "arguments": {"b": 1}</tool_call>x', "x", '{"b": 1}'),
        ("hermes", '<tool_call>{"name": "a", "arguments": {"b": 1</tool_call>x', "x", '{"b": 1'),
        ("qwen3-coder", "<tool_call>\n<function=a>\n<parameter=b>\nc", "", '{"b": "c'),
        ("mistral-named", "[TOOL_CALLS]no call at all", "[TOOL_CALLS]no call at all", None),
        ("deepseek-v3", "<｜tool▁calls▁begin｜>x", "<｜tool▁calls▁begin｜>x", None),
        ("lfm2", "<|tool_call_start|>[a(", "<|tool_call_start|>[a(", None),
        (
            "gemma4",
            "<|tool_call>call:a{b:}<tool_call|>c",
            "<|tool_call>call:a{b:}<tool_call|>c",
            None,
        ),
    ],
)
def test_malformed_calls(form: str, text: str, content: str, arguments: str | None) -> None:
    reading = parser(form)
    found = events(reading, [text])
    assert text_of(found, Content) == content
    calls = reading.output.tool_calls()
    assert [call.function.arguments for call in calls] == ([] if arguments is None else [arguments])
    for call in calls:
        try:
            json.loads(call.function.arguments)
        except ValueError:
            assert not call.complete
        else:
            assert call.complete


def test_reasoning_that_does_not_end() -> None:
    found = events(parser("hermes", "think", opened=True), ["\nStill ", "thinking </thi"])
    assert found == [Reasoning("Still thinking </thi")]


def test_a_tag_within_the_content_is_content() -> None:
    text = "Write `<think>` first, then `</think>`."
    assert events(parser("hermes", "think"), [text]) == [Content(text)]


def test_without_tools_calls_are_content() -> None:
    text = '<think>a</think><tool_call>{"name": "b"}</tool_call>'
    found = events(parser("hermes", "think", with_tools=False), [text])
    assert found == [Reasoning("a"), Content('<tool_call>{"name": "b"}</tool_call>')]


@pytest.mark.parametrize("form", tools.FORMATS, ids=lambda form: form.name)
def test_the_frame_of_a_call_is_read_as_one(form: tools.ToolFormat) -> None:
    """What a grammar makes a model write is what the parser reads."""
    name, arguments = OSLO
    frame = form.frame(name)
    schema = {"properties": {"city": {"type": "string"}}, "required": ["city"]}
    inner = "".join(map(_written, form.arguments(schema)))
    call = frame.begin.replace(tools.NUMBER, form.first_number) + inner + frame.end
    several = bool(frame.section_begin or frame.separator or form.call[1])
    calls = frame.separator.join([call] * (2 if several else 1))
    found = events(parser(form.name), [frame.section_begin + calls + frame.section_end])
    assert calls_of(found) == [OSLO] * (2 if several else 1)


def _written(part: Part) -> str:
    """A part of arguments whose only string is Oslo."""
    match part:
        case Text(text):
            return text
        case String(end=end):
            return f"Oslo{end}"
        case Members(members=(member,)):
            return "".join(map(_written, member.parts))
        case Json(schema=schema):
            return '"Oslo"' if schema["type"] == "string" else '{"city": "Oslo"}'
    raise ValueError(part)


def test_unknown_names() -> None:
    with pytest.raises(RequestError, match="'x'.*hermes"):
        tools.named("x")
    with pytest.raises(RequestError, match="'x'.*think"):
        reasoning.named("x")
    assert reasoning.named("none") is None
