"""Published templates render as `transformers` renders them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from farthing.chat import ChatTemplate, TemplateError

FILES = [
    "Apertus-8B-Instruct",
    "Bielik-11B-v3.0-Instruct",
    "Cohere2MoE",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
    "GLM-4.7-Flash",
    "GigaChat3.1-10B-A1.8B",
    "Kimi-K2-Instruct",
    "Kimi-K3",
    "LFM2.5-8B-A1B",
    "MiMo-VL",
    "MiniMax-M2",
    "Mistral-Small-3.2-24B-Instruct-2506",
    "NVIDIA-Nemotron-Nano-v2",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen3-Coder",
    "Reka-Edge",
    "StepFun3.5-Flash",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "deepseek-ai-DeepSeek-V3.2",
    "deepseek-ai-DeepSeek-V4",
    "google-gemma-2-2b-it",
    "google-gemma-4-31B-it",
    "ibm-granite-granite-4.0",
    "inclusionai-ling-3.0-flash",
    "llama-cpp-rwkv-world",
    "meetkai-functionary-medium-v3.2",
    "meta-llama-Llama-3.2-3B-Instruct",
    "microsoft-Phi-3.5-mini-instruct",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "muse-glimmer",
    "openbmb-MiniCPM5-1B",
    "poolside-Laguna-XS-2.1",
    "tencent-Hy3",
    "unsloth-mistral-Devstral-Small-2507",
]


REFUSED_DATA = {
    ("Apertus-8B-Instruct", "content_as_text_parts"),
    ("muse-glimmer", "tool_arguments_as_json_text"),
}
"""Where the template's own error is about the form of the data, which is then changed."""

DROPS_TOOLS = ("microsoft-Phi-3.5-mini-instruct",)
"""Templates that leave out tool calls and their results."""


@pytest.fixture(scope="module")
def conversations(data: Path) -> dict:
    return json.loads((data / "templates/conversations.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def golden(data: Path) -> dict:
    return json.loads((data / "templates/golden.json").read_text("utf-8"))


def test_every_file_is_tested(golden: dict) -> None:
    assert sorted(golden) == sorted(f"{name}.jinja" for name in FILES)


@pytest.mark.parametrize("name", FILES)
def test_template(name: str, data: Path, conversations: dict, golden: dict) -> None:
    source = (data / f"templates/{name}.jinja").read_bytes().decode()
    template = ChatTemplate(
        source,
        bos_token=conversations["bos_token"],
        eos_token=conversations["eos_token"],
        now=datetime.fromisoformat(conversations["now"]),
    )
    for case, expected in golden[f"{name}.jinja"].items():
        conversation = conversations["cases"][case]

        def render(conversation: dict = conversation) -> str:
            return template.render(
                conversation["messages"],
                conversation.get("tools"),
                conversation["add_generation_prompt"],
                conversation["continue_final_message"],
                **conversation.get("kwargs", {}),
            )

        if "text" in expected:
            assert render() == expected["text"], case
        elif expected["type"] == "TemplateError" and (name, case) not in REFUSED_DATA:
            with pytest.raises(TemplateError) as caught:
                render()
            assert str(caught.value) == expected["error"], case
        else:
            text = render()
            for message in conversation["messages"]:
                for word in _words(message):
                    assert word in text or name in DROPS_TOOLS, (case, word)


def _words(message: dict) -> list[str]:
    """What must be found in a prompt, whatever form the data has."""
    content = message["content"] or ""
    parts = [content] if isinstance(content, str) else [part["text"] for part in content]
    calls = [call["function"] for call in message.get("tool_calls", ())]
    return [part.strip() for part in parts] + [call["name"] for call in calls]
