"""Messages in the forms that a template can handle."""

from __future__ import annotations

from typing import Any

import pytest

from farthing.chat import ChatTemplate
from farthing.chat.adapt import joined

CALLS = (
    "{% for m in messages %}{{ m.role }}:{{ m.content }}"
    "{% for c in m.tool_calls or [] %}[{{ c.function.name }} ARGS {{ c.id }}]{% endfor %}"
    "{% endfor %}"
)
MAPPING = CALLS.replace("ARGS", "{{ c.function.arguments | tojson }}")
ITEMS = CALLS.replace(
    "ARGS", "{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}"
)
TEXT = CALLS.replace("ARGS", "{{ c.function.arguments }}")


def calling(arguments: Any, **message: Any) -> dict[str, Any]:
    call = {
        "id": "call_123456",
        "type": "function",
        "function": {"name": "f", "arguments": arguments},
    }
    return {"role": "assistant", **message, "tool_calls": [call]}


def arguments_of(source: str, arguments: Any) -> Any:
    fitted = ChatTemplate(source).fitted([calling(arguments)])
    return fitted[0]["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize("source", [MAPPING, ITEMS])
def test_arguments_become_mappings(source: str) -> None:
    assert arguments_of(source, '{"a": [1]}') == {"a": [1]}
    assert arguments_of(source, {"a": 1}) == {"a": 1}
    assert arguments_of(source, "") == {}
    assert arguments_of(source, "not json") == "not json"


def test_arguments_become_text() -> None:
    assert arguments_of(TEXT, {"a": "é"}) == '{"a": "é"}'
    assert arguments_of(TEXT, '{"a":1}') == '{"a":1}'


def test_rendering_tries_the_other_form() -> None:
    assert ChatTemplate(ITEMS).render([calling('{"a": 1}', content="")]) == (
        "assistant:[f a=1 call_123456]"
    )


def test_content_in_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [{"role": "user", "content": parts}]
    plain = ChatTemplate("{{ messages[0].content }}")
    knows = ChatTemplate("{% for p in messages[0].content %}{{ p.text }}{% endfor %}")
    assert plain.fitted(messages)[0]["content"] == "a\nb"
    assert knows.fitted(messages)[0]["content"] == parts
    assert messages[0]["content"] is parts


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([{"text": "a"}, {"text": " b"}, {"text": "c\n"}, {"text": "d"}], "a b\nc\nd"),
        ([{"text": "a"}, {"type": "image_url"}], None),
        ([1], None),
        ([], None),
        ("a", None),
    ],
)
def test_joining_parts(parts: Any, text: str | None) -> None:
    assert joined(parts) == text


def test_no_content_beside_calls() -> None:
    wants_text = CALLS.replace("{{ m.content }}", "{{ '' + m.content }}")
    wants_none = (
        "{% if messages[-1].content is not none %}{{ 1 + messages[-1].content }}{% endif %}" + CALLS
    )
    assert ChatTemplate(wants_text).fitted([calling({}, content=None)])[0]["content"] == ""
    assert ChatTemplate(wants_none).fitted([calling({}, content="")])[0]["content"] is None
    assert "content" not in ChatTemplate(CALLS).fitted([calling({}, content=None)])[0]


def test_roles_names_and_reasoning() -> None:
    messages = [
        {"role": "developer", "content": "x"},
        calling({}, reasoning="hm"),
        {"role": "tool", "tool_call_id": "call_123456", "content": "1"},
    ]
    system, assistant, result = ChatTemplate(CALLS).fitted(messages)
    assert system["role"] == "system"
    assert assistant["reasoning_content"] == "hm"
    assert result["name"] == "f"
    knows = ChatTemplate(CALLS + "{% if false %}developer{% endif %}")
    assert knows.fitted(messages)[0]["role"] == "developer"


def test_short_ids() -> None:
    source = (
        "{% if messages[-1].tool_calls[0].id | length != 9 %}{{ raise_exception('9') }}{% endif %}"
    )
    messages = [calling({}), {"role": "tool", "tool_call_id": "call_123456", "content": "1"}]
    assistant, result = ChatTemplate(source + CALLS).fitted(messages)
    call_id = assistant["tool_calls"][0]["id"]
    assert len(call_id) == 9
    assert call_id.isalnum()
    assert result["tool_call_id"] == call_id
    assert ChatTemplate(CALLS).fitted(messages)[0]["tool_calls"][0]["id"] == "call_123456"


def test_a_list_of_its_own_may_be_changed_by_a_template() -> None:
    own = ChatTemplate("{% set a = [] %}{% set _ = a.append(1) %}{{ a.pop() }}")
    assert own.render([]) == "1"
    messages: list[dict[str, Any]] = [{"role": "user", "content": ["x"]}]
    for given in ("messages", "messages[0].content", "tools"):
        with pytest.raises(Exception, match="unsafe"):
            ChatTemplate(f"{{{{ {given}.append(1) }}}}").render(messages, [{}])
    assert messages == [{"role": "user", "content": ["x"]}]
