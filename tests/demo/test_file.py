"""The demo model's file as other programs see it."""

import gguf
import pytest

from farthing.demo import path
from farthing.demo.training.config import is_matrix
from farthing.demo.training.corpus import TEMPLATE, environment
from farthing.demo.training.export import LIMIT

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
ASK = {"role": "user", "content": "Hi"}


@pytest.fixture(scope="module")
def reader() -> gguf.GGUFReader:
    return gguf.GGUFReader(path())


@pytest.fixture(scope="module")
def metadata(reader: gguf.GGUFReader) -> dict[str, object]:
    return {name: field.contents() for name, field in reader.fields.items()}


def test_the_file_is_small() -> None:
    assert path().stat().st_size <= LIMIT == 2_000_000


def test_what_the_file_says_of_itself(metadata: dict[str, object]) -> None:
    assert metadata["general.architecture"] == "llama"
    assert metadata["general.name"] == "Farthing demo"
    assert metadata["general.license"] == "Apache-2.0"
    assert metadata["llama.context_length"] == 512
    assert metadata["tokenizer.ggml.model"] == "llama"
    assert metadata["tokenizer.ggml.add_space_prefix"] is False
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    assert isinstance(tokens, list)
    assert isinstance(types, list)
    assert tokens[metadata["tokenizer.ggml.bos_token_id"]] == "<s>"
    assert tokens[metadata["tokenizer.ggml.eos_token_id"]] == "<|im_end|>"
    assert types.count(gguf.TokenType.BYTE) == 256
    assert len(tokens) == len(set(tokens)) == metadata["llama.vocab_size"]


def test_matrices_are_quantized(reader: gguf.GGUFReader) -> None:
    for tensor in reader.tensors:
        name = tensor.name.split(".")[-2]
        quantized = is_matrix(name) or name == "token_embd"
        assert tensor.tensor_type.name == ("Q8_0" if quantized else "F32"), tensor.name
        assert all(n % 32 == 0 for n in tensor.shape), tensor.name
    assert not any(t.name == "output.weight" for t in reader.tensors)


def test_the_template_is_the_one_it_was_trained_with(metadata: dict[str, object]) -> None:
    assert metadata["tokenizer.chat_template"] == TEMPLATE


@pytest.mark.parametrize(
    ("messages", "tools", "text"),
    [
        ([ASK], None, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"),
        (
            [{"role": "system", "content": "Be kind."}, ASK],
            None,
            "<|im_start|>system\nBe kind.<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            [ASK],
            [TOOL, {"name": "now"}],
            "<|im_start|>system\nTools:\nget_weather(city)\nnow()<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            [
                {"role": "system", "content": "Be kind."},
                ASK,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"function": {"name": "get_weather", "arguments": {"city": "Zürich"}}},
                        {"function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}},
                    ],
                },
                {"role": "tool", "content": "sunny"},
            ],
            [TOOL],
            "<|im_start|>system\nBe kind.\nTools:\nget_weather(city)<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
            '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Zürich"}}\n</tool_call>\n'
            '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
            "<|im_end|>\n<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
    ],
    ids=["plain", "system", "tools", "calls"],
)
def test_the_template_renders(messages: list[object], tools: list[object], text: str) -> None:
    template = environment().from_string(TEMPLATE)
    assert template.render(messages=messages, tools=tools, add_generation_prompt=True) == text
