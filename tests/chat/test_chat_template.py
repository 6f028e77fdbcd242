"""Chat templates."""

from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from farthing.chat import ChatTemplate, TemplateError
from farthing.errors import RequestError, UnsupportedModelError

PLAIN = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
HELLO = [{"role": "user", "content": "Hello"}]
ANSWERED = [*HELLO, {"role": "assistant", "content": "Hi the"}]
TOOLS = [{"type": "function", "function": {"name": "look"}}]
TOKENIZER: Any = SimpleNamespace(bos_id=1, eos_id=None, token_text=lambda token_id: f"<{token_id}>")


def test_a_conversation() -> None:
    template = ChatTemplate(PLAIN, bos_token="<s>", eos_token="</s>")
    assert template.render(HELLO) == "<s>[user]Hello</s>[assistant]"
    assert template.render(HELLO, add_generation_prompt=False) == "<s>[user]Hello</s>"


def test_blocks_leave_no_white_space() -> None:
    assert ChatTemplate("a\n  {% if true %}\nb\n  {% endif %}\n").render([]) == "a\nb\n"


def test_json_is_plain() -> None:
    template = ChatTemplate("{{ tools | tojson }}|{{ tools[0] | tojson(indent=2) }}")
    tools = [{"name": "<é> & 'x'"}]
    assert template.render([], tools) == (
        json.dumps(tools, ensure_ascii=False)
        + "|"
        + json.dumps(tools[0], indent=2).replace("\\u00e9", "é")
    )


def test_generation_blocks_and_loop_controls() -> None:
    template = ChatTemplate(
        "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}"
        "{% generation %}{% set x = m.content %}{{ x }}{% endgeneration %}{{ x }}{% endfor %}"
    )
    assert template.render([*HELLO, {"role": "tool", "content": "no"}]) == "Hello"


def test_the_clock_is_given() -> None:
    source = "{{ strftime_now('%d %b %Y') }}"
    assert ChatTemplate(source, now=datetime(2024, 7, 26)).render([]) == "26 Jul 2024"
    assert ChatTemplate(source).render([]) == datetime.now().strftime("%d %b %Y")


def test_what_is_defined() -> None:
    template = ChatTemplate(
        "{{ tools is none }} {{ documents is none }} {{ pad_token is defined }}"
    )
    assert template.render(HELLO) == "True True False"
    assert template.render(HELLO, tools=[]) == "True True False"


def test_messages_are_tidied() -> None:
    template = ChatTemplate("{{ messages[0] | tojson(sort_keys=true) }}")
    message = {"role": "assistant", "content": None, "reasoning_content": "hm"}
    assert json.loads(template.render([message])) == {
        "role": "assistant",
        "reasoning_content": "hm",
        "thinking": "hm",
    }
    assert message["content"] is None


def test_variables_of_the_template() -> None:
    template = ChatTemplate("{{ enable_thinking }}{{ bos_token }}")
    assert template.render(HELLO, enable_thinking=False, bos_token="<b>") == "False<b>"


@pytest.mark.parametrize(
    ("source", "content", "expected"),
    [
        (PLAIN, "Hi the", "[user]Hello[assistant]Hi the"),
        (PLAIN, "Hi the ", "[user]Hello[assistant]Hi the "),
        (PLAIN.replace("m.content", "m.content | trim"), "Hi the ", "[user]Hello[assistant]Hi the"),
    ],
    ids=["plain", "space-kept", "space-trimmed"],
)
def test_continuing_the_last_message(source: str, content: str, expected: str) -> None:
    messages = [*HELLO, {"role": "assistant", "content": content}]
    assert ChatTemplate(source).render(messages, continue_final_message=True) == expected


def test_continuing_text_in_parts() -> None:
    source = "{% for m in messages %}{% for p in m.content %}{{ p.text }};{% endfor %}{% endfor %}"
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "image"}]
    messages = [{"role": "assistant", "content": parts}]
    assert ChatTemplate(source).render(messages, continue_final_message=True) == "a;b"


@pytest.mark.parametrize("messages", [[], [{"role": "assistant"}], [{"role": "a", "content": []}]])
def test_nothing_to_continue(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(RequestError, match="continue_final_message"):
        ChatTemplate(PLAIN).render(messages, continue_final_message=True)


def test_a_template_that_leaves_out_the_last_message() -> None:
    with pytest.raises(TemplateError, match="leaves out the last message"):
        ChatTemplate("x").render(ANSWERED, continue_final_message=True)


def test_the_templates_own_error_is_passed_on() -> None:
    with pytest.raises(TemplateError) as caught:
        ChatTemplate("{{ raise_exception('No systems here') }}").render(HELLO)
    assert str(caught.value) == "No systems here"


def test_data_that_the_template_cannot_handle() -> None:
    with pytest.raises(TemplateError, match="TypeError: can only concatenate"):
        ChatTemplate("{{ 'a' + messages[0].content }}").render([{"content": [1]}])


def test_a_message_that_is_no_mapping() -> None:
    with pytest.raises(RequestError, match=r"messages\[1\] is a str"):
        ChatTemplate(PLAIN).render([*HELLO, "Hi"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__.x }}",
        "{% for i in range(10000000) %}{% endfor %}",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    with pytest.raises(TemplateError):
        ChatTemplate(source).render(HELLO)


@pytest.mark.parametrize(
    "source", ["{% if %}", "{{ 'a' | no_such_filter }}", "{% for %}", "(" * 9, "{{" + "(" * 5000]
)
def test_an_error_in_the_template_waits_for_its_use(source: str) -> None:
    template = ChatTemplate(source)
    if source.startswith("("):
        assert template.render([]) == source
        return
    with pytest.raises(UnsupportedModelError, match="does not compile"):
        template.render(HELLO)


def test_from_metadata() -> None:
    template = ChatTemplate.from_metadata({"tokenizer.chat_template": PLAIN}, TOKENIZER)
    assert template.render(HELLO) == "<1>[user]Hello[assistant]"


def test_the_template_for_tools() -> None:
    metadata = {
        "tokenizer.chat_templates": ["tool_use"],
        "tokenizer.chat_template": "plain",
        "tokenizer.chat_template.tool_use": "{{ bos_token }}{{ tools[0].function.name }}",
    }
    template = ChatTemplate.from_metadata(metadata, TOKENIZER)
    assert template.render(HELLO) == "plain"
    assert template.render(HELLO, tools=TOOLS) == "<1>look"


def test_a_file_without_a_template() -> None:
    with pytest.raises(UnsupportedModelError, match="has no chat template"):
        ChatTemplate.from_metadata({}, TOKENIZER).render(HELLO)
    template = ChatTemplate.from_metadata({}, TOKENIZER, fallback="chatml")
    assert template.render(HELLO) == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    with pytest.raises(RequestError, match="'llama2'"):
        ChatTemplate.from_metadata({}, TOKENIZER, fallback="llama2")  # type: ignore[arg-type]
