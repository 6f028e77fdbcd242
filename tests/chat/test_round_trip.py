"""What a template writes for a message with tool calls is read back as that message."""

from __future__ import annotations

import json
import re
from datetime import datetime
from os.path import commonprefix
from pathlib import Path

import pytest
from test_golden_templates import FILES

from farthing.chat import ChatTemplate
from farthing.chat.format import ChatFormat
from farthing.chat.parser import OutputParser
from farthing.chat.tools import Plan, ToolSet, generic

NO_TOOLS = (
    *("google-gemma-2-2b-it", "llama-cpp-rwkv-world", "microsoft-Phi-3.5-mini-instruct"),
    "Apertus-8B-Instruct",
)
"""The first three know no tools; Apertus writes reasoning only in blocks of its own form."""
TWO_TURNS = ("NVIDIA-Nemotron-Nano-v2",)
"""Templates that write content and calls as two messages."""
ONE_CALL = ("GigaChat3.1-10B-A1.8B", "meta-llama-Llama-3.2-3B-Instruct")
"""Templates that write the first call only, or refuse more."""

USER = {"role": "user", "content": "Where?"}
ARGUMENTS = [
    ("get_weather", {"city": "Oslo", "unit": "celsius"}),
    ("search_files", {"pattern": 'a "q" <b> é {x}', "folders": ["~/a", "b"], "hidden": False}),
]


@pytest.fixture(scope="module")
def tools(data: Path) -> list[dict]:
    path = data / "templates/conversations.json"
    return json.loads(path.read_text("utf-8"))["cases"]["parallel_tool_calls"]["tools"]


def formats(data: Path, name: str) -> ChatFormat:
    source = (data / f"templates/{name}.jinja").read_bytes().decode()
    return ChatFormat(ChatTemplate(source, "<s>", "</s>", now=datetime(2024, 7, 26)))


def answer(form: ChatFormat, message: dict, tools: list[dict]) -> tuple[str, bool]:
    """What the template writes for the message behind the prompt; whether reasoning is opened."""
    template = form.template
    prompt = template.render([USER], tools)
    whole = template.render(template.fitted([USER, message]), tools, add_generation_prompt=False)
    # The prompt may end with the beginning of something that this message has not.
    common = re.sub(r"(<[^>]*|\[[A-Z]*)$", "", commonprefix([prompt, whole]))
    opened = form.reasoning is not None and form.reasoning.opened_by(common)
    return whole[len(common) :], opened


@pytest.mark.parametrize("name", [name for name in FILES if name not in NO_TOOLS[:3]])
@pytest.mark.parametrize("content", ["", "I look."])
def test_calls(name: str, content: str, data: Path, tools: list[dict]) -> None:
    form = formats(data, name)
    assert form.tools is not generic.FORMAT
    if content and name in TWO_TURNS:
        return
    for calls in (ARGUMENTS[:1], ARGUMENTS[1:], ARGUMENTS):
        if len(calls) > 1 and name in ONE_CALL:
            continue
        message = {
            "role": "assistant",
            "content": content or None,
            "tool_calls": [
                {
                    "id": f"call0000{place}",
                    "type": "function",
                    "function": {"name": tool, "arguments": json.dumps(arguments)},
                }
                for place, (tool, arguments) in enumerate(calls)
            ],
        }
        text, opened = answer(form, message, tools)
        parser = OutputParser(form.tools, Plan(form.reasoning, opened, ToolSet.of(tools)))
        parser.push(text)
        parser.finish()
        found = parser.output.tool_calls()
        assert all(call.complete for call in found), text
        read = [(call.function.name, json.loads(call.function.arguments)) for call in found]
        assert read == calls, text
        assert not content or content in parser.output.content_text() or content not in text


REASONING = [
    *("Bielik-11B-v3.0-Instruct", "Cohere2MoE", "GLM-4.7-Flash", "Kimi-K3", "LFM2.5-8B-A1B"),
    *("MiniMax-M2", "StepFun3.5-Flash", "google-gemma-4-31B-it", "inclusionai-ling-3.0-flash"),
    *("muse-glimmer", "openbmb-MiniCPM5-1B", "poolside-Laguna-XS-2.1", "tencent-Hy3"),
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
]


@pytest.mark.parametrize("name", REASONING)
def test_reasoning(name: str, data: Path, tools: list[dict]) -> None:
    form = formats(data, name)
    tool, arguments = ARGUMENTS[0]
    call = {"id": "call00000", "type": "function", "function": {"name": tool}}
    call["function"] |= {"arguments": arguments}  # type: ignore[operator]
    message = {
        "role": "assistant",
        "content": "",
        "reasoning_content": "The user asks where.\n\nIn Oslo.",
        "tool_calls": [call],
    }
    text, opened = answer(form, message, tools)
    parser = OutputParser(form.tools, Plan(form.reasoning, opened, ToolSet.of(tools)))
    parser.push(text)
    parser.finish()
    assert parser.output.reasoning_text() == message["reasoning_content"]
    assert [call.function.name for call in parser.output.tool_calls()] == [tool]


@pytest.mark.parametrize("name", NO_TOOLS[:3])
def test_templates_without_tools_get_a_description(
    name: str, data: Path, tools: list[dict]
) -> None:
    form = formats(data, name)
    call = {"id": "x", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    messages = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "x", "content": "-3"},
    ]
    prompt = form.prepare(messages, tools=tools)
    assert prompt.form is generic.FORMAT
    for part in ("get_weather", "Where?", '"city": "Oslo"', "<tool_response>\n-3\n"):
        assert part in prompt.text
