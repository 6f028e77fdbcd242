"""From a request to a prompt and a parser."""

from __future__ import annotations

from typing import Any

import pytest

from farthing.chat import ChatTemplate
from farthing.chat.format import ChatFormat
from farthing.errors import RequestError

HERMES = (
    "{% for t in tools or [] %}{{ t.function.name }} <tool_call></tool_call>{% endfor %}"
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
)
THINKS = HERMES + "{% if enable_thinking %}<think>{% else %}<think></think>{% endif %}"
HELLO = [{"role": "user", "content": "Hello"}]


def look(place: str) -> str:
    """Look."""
    return place


def wait() -> None:
    """Wait."""


def prepare(source: str, **options: Any) -> Any:
    return ChatFormat(ChatTemplate(source)).prepare(HELLO, **options)


def test_plain_chats_need_no_parser() -> None:
    prompt = prepare(HERMES)
    assert prompt.text == "[user]Hello[assistant]"
    assert prompt.parser() is None
    assert prompt.markers == ()
    assert prepare(HERMES, tools=[look], tool_choice="none").parser() is None


def test_formats_are_found() -> None:
    prompt = prepare(THINKS, tools=[look], variables={"enable_thinking": True})
    assert prompt.form.name == "hermes"
    assert prompt.plan.reasoning.name == "think"
    assert prompt.plan.opened
    assert {"<think>", "</tool_call>"} <= {marker.strip() for marker in prompt.markers}
    assert not prepare(THINKS).plan.opened


def test_the_vocabulary_helps() -> None:
    tokens = ("<|tool_call_start|>", "<|tool_call_end|>", "<think>", "</think>")
    form = ChatFormat(ChatTemplate("{{ tools }}"), tokens.__contains__)
    assert form.tools.name == "lfm2"
    assert form.reasoning is not None
    assert ChatFormat(ChatTemplate("{{ tools }}")).tools.name == "generic"


def test_formats_by_name() -> None:
    prompt = prepare(THINKS, tools=[look], tool_format="mistral", reasoning_format="none")
    assert prompt.form.name == "mistral"
    assert prompt.plan.reasoning is None
    with pytest.raises(RequestError, match="tool_format 'x'"):
        prepare(HERMES, tools=[look], tool_format="x")


@pytest.mark.parametrize(
    ("choice", "begun"),
    [
        ("required", '<tool_call>\n{"name": "'),
        ({"type": "function", "function": {"name": "wait"}}, '{"name": "wait", "arguments": '),
    ],
)
def test_tool_choice(choice: Any, begun: str) -> None:
    prompt = prepare(
        THINKS, tools=[look, wait], tool_choice=choice, variables={"enable_thinking": True}
    )
    assert prompt.text.endswith(begun)
    assert "<think></think>\n\n<tool_call>" in prompt.text
    parser = prompt.parser()
    rest = 'wait", "arguments": {}}' if choice == "required" else "{}}"
    parser.push(rest + "\n</tool_call>")
    (call,) = parser.output.tool_calls()
    assert (call.function.name, call.function.arguments) == ("wait", "{}")


def test_required_with_one_tool_names_it() -> None:
    prompt = prepare(HERMES, tools=[wait], tool_choice="required")
    assert prompt.text.endswith('{"name": "wait", "arguments": ')


@pytest.mark.parametrize(
    ("tools", "choice"),
    [([look], "look"), ([], "required"), ([look], {"function": {"name": "x"}}), ([look], 5)],
)
def test_bad_tool_choice(tools: list[Any], choice: Any) -> None:
    with pytest.raises(RequestError, match="tool_choice"):
        prepare(HERMES, tools=tools, tool_choice=choice)


def test_what_the_prompt_says_is_not_repeated() -> None:
    source = "{{ tools }}<|channel|><|message|><|start|>assistant"
    prompt = prepare(source, tools=[look], tool_choice="required")
    assert prompt.text.endswith(
        "<|start|>assistant<|channel|>commentary to=functions.look <|constrain|>json<|message|>"
    )
    parser = prompt.parser()
    parser.push('{"place": "here"}')
    assert [call.function.name for call in parser.output.tool_calls()] == ["look"]


def test_a_template_without_tools() -> None:
    source = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    prompt = prepare(source, tools=[look])
    assert prompt.text.startswith("[system]# Tools")
    assert '"name": "look"' in prompt.text
    no_system = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    told = prepare(no_system + source, tools=[look])
    assert told.text.startswith("[user]Hello\n\n# Tools")
