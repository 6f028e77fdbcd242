"""Tool calls keep to the schemas of the tools, whatever the model would rather write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest

from farthing import Completion, Model, RequestError
from farthing.chat.tools import FORMATS, ToolFormat, named

PARAMETERS = {
    "type": "object",
    "properties": {
        "place": {"type": "string", "maxLength": 8, "pattern": "^[a-z/]+$"},
        "unit": {"type": "string", "enum": ["°C", "F"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "from": {"type": ["string", "null"], "maxLength": 3},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 2},
        "at": {
            "type": "object",
            "properties": {"x y": {"type": "number"}, "ok": {"type": "boolean"}},
            "required": ["ok"],
        },
    },
    "required": ["place", "days"],
    "additionalProperties": False,
}
NAMES = ("get-weather", "tides")
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in NAMES
]
MESSAGES = [{"role": "user", "content": "What is the weather in Oslo?"}]
HOT = {"temperature": 1.5, "max_tokens": 700}

HERMES, KIMI = named("hermes"), named("kimi-k2")

each_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)


@pytest.fixture(scope="module")
def demo() -> Iterator[Model]:
    with Model("demo", n_ctx=2048) as model:
        yield model


class Begin:
    """Makes an answer begin with a text, whatever the model says."""

    def __init__(self, model: Model, text: str, prompt_length: int) -> None:
        self.tokens = _encode(model, text)
        self.start = prompt_length

    def __call__(
        self, ids: npt.NDArray[np.int64], logits: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        place = len(ids) - self.start
        if place < len(self.tokens):
            logits[:] = -np.inf
            logits[self.tokens[place]] = 0
        return logits


def _encode(model: Model, text: str) -> list[int]:
    """Tokens of just this text: a tokenizer of this kind reads its own mark of a space as one."""
    tokens: list[int] = []
    for place, part in enumerate(text.split("▁")):
        marked = [model.tokenizer.hf.token_to_id(f"<0x{byte:02X}>") for byte in "▁".encode()]
        tokens += [*(marked if place else []), *model.tokenizer.encode(part, add_special=False)]
    return tokens


def check(answer: Completion, names: tuple[str, ...] = NAMES) -> int:
    """The number of calls, all of which are valid."""
    for call in answer.tool_calls:
        if call.complete:
            assert call.function.name in names
            jsonschema.validate(json.loads(call.function.arguments), PARAMETERS)
    return sum(call.complete for call in answer.tool_calls)


@each_format
def test_calls_that_must_come_are_valid(demo: Model, form: ToolFormat) -> None:
    valid = 0
    for seed in range(2):
        valid += check(
            demo.chat(
                MESSAGES,
                tools=TOOLS,
                tool_choice="required",
                parallel_tool_calls=False,
                tool_format=form.name,
                seed=seed,
                **HOT,
            )
        )
    assert valid == 2


@each_format
def test_calls_that_come_by_themselves_are_valid(demo: Model, form: ToolFormat) -> None:
    """From the place on where it is clear that there will be a call."""
    starts = dict.fromkeys((start.trigger, start.first) for start in form.starts("tides"))
    assert starts
    for seed, (trigger, first) in enumerate(starts):
        text = trigger if first else f"{form.content_marker}Well, {trigger}"
        assert check(said(demo, form, text, seed, parallel_tool_calls=False)) == 1, trigger


def said(model: Model, form: ToolFormat, begin: str, seed: int, **options: Any) -> Completion:
    """A chat with the tools whose answer begins with a text."""
    prompt = model.chat(MESSAGES, tools=TOOLS, tool_format=form.name, max_tokens=1)
    processor = Begin(model, begin, prompt.usage.prompt_tokens)
    return model.chat(
        MESSAGES,
        tools=TOOLS,
        tool_format=form.name,
        seed=seed,
        logits_processor=processor,
        **{**HOT, **options},
    )


def test_there_may_be_several_calls_or_one(demo: Model) -> None:
    one = said(demo, HERMES, "<tool_call>", 1, ignore_eos=True, parallel_tool_calls=False)
    assert check(one) == 1
    several = said(demo, HERMES, "<tool_call>", 1, ignore_eos=True, max_tokens=300)
    assert check(several) > 1


def test_numbers_of_calls_are_those_of_the_format(demo: Model) -> None:
    answer = said(demo, KIMI, "<|tool_calls_section_begin|>", 0)
    assert answer.tool_calls[0].id.startswith("functions.")


def test_a_text_without_a_trigger_is_free(demo: Model) -> None:
    plain = demo.chat(MESSAGES, tools=TOOLS, temperature=0, max_tokens=20)
    free = demo.chat(MESSAGES, tools=TOOLS, temperature=0, max_tokens=20, tool_format="glm4")
    assert plain.tokens == free.tokens
    assert plain.text


def test_the_tool_asked_for_is_called(demo: Model) -> None:
    choice = {"type": "function", "function": {"name": "tides"}}
    for seed in range(3):
        answer = demo.chat(MESSAGES, tools=TOOLS, tool_choice=choice, seed=seed, **HOT)
        assert check(answer, ("tides",)) == 1


def test_an_answer_by_a_schema_or_a_call(demo: Model) -> None:
    schema = {"type": "object", "properties": {"name": {"const": "Oslo"}}, "required": ["name"]}
    for seed in range(3):
        assert check(said(demo, HERMES, "<tool", seed, json_schema=schema)) >= 1
        answer = said(demo, HERMES, "{", seed, json_schema=schema)
        assert json.loads(answer.text) == {"name": "Oslo"}
        either = demo.chat(MESSAGES, tools=TOOLS, json_schema=schema, seed=seed, **HOT)
        assert check(either) >= 1 or json.loads(either.text) == {"name": "Oslo"}


@pytest.mark.parametrize("name", ["hermes", "qwen3-coder", "gemma4", "lfm2"])
def test_any_arguments_are_arguments_of_a_tool_without_a_schema(demo: Model, name: str) -> None:
    tools = [{"type": "function", "function": {"name": "do"}}]
    for seed in range(3):
        answer = demo.chat(
            MESSAGES, tools=tools, tool_choice="required", tool_format=name, seed=seed, **HOT
        )
        for call in answer.tool_calls:
            assert not call.complete or isinstance(json.loads(call.function.arguments), dict)


@pytest.mark.parametrize(
    ("form", "parameters", "message"),
    [
        ("hermes", {"not": {}}, "the parameters of tool 'do': at the schema's root: not is not"),
        ("qwen3-coder", {"anyOf": [{}]}, "the parameters of tool 'do': anyOf is not supported"),
        (
            "qwen3-coder",
            {"properties": {"a": {"type": "string", "format": "zip"}}},
            "'zip'|\"zip\"",
        ),
        ("lfm2", {"properties": {"a": {"uniqueItems": True}}}, "uniqueItems is not supported"),
        ("gemma4", {"properties": {"a": {"if": {}}}}, "if is not supported"),
    ],
)
def test_parameters_that_cannot_be_expressed(
    demo: Model,
    form: str,
    parameters: dict[str, Any],
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    function = {"name": "do", "parameters": parameters, "strict": True}
    for choice in ("auto", "required"):
        with pytest.raises(RequestError, match=message):
            demo.chat(MESSAGES, tools=[function], tool_format=form, tool_choice=choice)
    del function["strict"]
    lenient = [{"type": "function", "function": function}]
    answer = demo.chat(MESSAGES, tools=lenient, tool_format=form, max_tokens=1, ignore_eos=True)
    assert len(answer.tokens) == 1
    assert re.search(message, caplog.text)
