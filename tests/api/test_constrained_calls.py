"""Tool calls keep to the schemas of the tools, whatever the model would rather write."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

import farthing
from farthing.chat.tools import FORMATS

PARAMETERS = {
    "type": "object",
    "properties": {
        "place": {"type": "string", "maxLength": 12},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
    },
    "required": ["place", "days"],
    "additionalProperties": False,
}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}}
    for name in ("weather", "tides")
]
MESSAGES = [{"role": "user", "content": "What is the weather in Oslo?"}]

EXPRESSED = {
    "hermes", "generic", "llama3", "mistral", "mistral-named", "granite", "phi4", "nemotron",
    "gigachat", "tool-calls-tag", "firefunction", "apertus", "deepseek-v3", "deepseek-v3.1",
    "functionary-v3.1", "qwen3-coder", "seed-oss", "glm4", "minimax", "minicpm5", "hunyuan",
    "deepseek-dsml", "deepseek-v4",
}  # fmt: skip
"""The formats with a grammar of several calls."""


@pytest.fixture(scope="module")
def demo() -> Iterator[farthing.Model]:
    with farthing.Model("demo", n_ctx=1024) as model:
        yield model


@pytest.mark.parametrize("name", [form.name for form in FORMATS])
def test_calls_that_must_come_are_valid_in_every_format_with_a_grammar(
    demo: farthing.Model, name: str
) -> None:
    valid = 0
    for seed in range(3):
        answer = demo.chat(
            MESSAGES,
            tools=TOOLS,
            tool_choice="required",
            parallel_tool_calls=False,
            tool_format=name,
            max_tokens=150,
            temperature=1.5,
            seed=seed,
        )
        for call in answer.tool_calls:
            if call.complete:
                assert call.function.name in ("weather", "tides")
                jsonschema.validate(json.loads(call.function.arguments), PARAMETERS)
                valid += 1
    if name in EXPRESSED:
        assert valid > 0
