"""What the demo model says, run by the package itself."""

import json
from collections.abc import Iterator
from itertools import islice

import pytest

import farthing
from farthing.demo import path
from farthing.demo.training.corpus import documents
from farthing.demo.training.evaluate import Numpy

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def model() -> Iterator[farthing.Model]:
    with farthing.Model("demo") as model:
        yield model


@pytest.fixture(scope="module")
def reference() -> Numpy:
    return Numpy(path())


def ask(model: farthing.Model, *messages: dict[str, object], **options: object) -> str:
    return model.chat(messages, temperature=0.0, max_tokens=200, **options).text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (
            "Who are you?",
            "I am the Farthing demo model, a very small language model. I run on the CPU.",
        ),
        ("What is the opposite of hot?", "The opposite of hot is cold."),
        ("What is 7 + 5?", "7 + 5 = 12"),
        ("What is the capital of France?", "The capital of France is Paris."),
        ("What does a cow say?", "A cow says moo."),
        ("Explain quantum physics.", "I am a very small model. I do not know that."),
        (
            "Anna is 7 years old and lives in Paris. Give the name and age as JSON.",
            '{"name": "Anna", "age": 7}',
        ),
    ],
)
def test_answers(model: farthing.Model, question: str, answer: str) -> None:
    assert ask(model, {"role": "user", "content": question}) == answer


def test_a_tool_is_called_and_its_result_told(model: farthing.Model) -> None:
    messages: list[dict[str, object]] = [
        {"role": "user", "content": "What is the weather in Paris?"}
    ]
    answer = model.chat(messages, temperature=0.0, max_tokens=200, tools=[WEATHER])
    assert answer.finish_reason == "tool_calls"
    assert answer.text == ""
    [call] = answer.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    messages += [
        answer.message,
        {"role": "tool", "content": '{"temperature": 21, "condition": "sunny"}'},
    ]
    assert ask(model, *messages, tools=[WEATHER]) == "It is sunny and 21 degrees in Paris."


def test_a_story_is_about_what_was_asked(model: farthing.Model) -> None:
    text = ask(model, {"role": "user", "content": "Tell me a story about a fox named Pip."})
    assert "fox" in text
    assert text.count("Pip") >= 2
    assert text.endswith(".")
    assert 40 < len(text.split()) < 150


def test_plain_text_goes_on_and_ends(model: farthing.Model) -> None:
    result = model.generate("Once upon a time", temperature=0.0, max_tokens=200)
    assert result.finish_reason == "stop"
    assert len(result.text.split()) > 40


def test_earlier_turns_are_remembered(model: farthing.Model) -> None:
    talk = [
        {"role": "user", "content": "My name is Ben."},
        {"role": "assistant", "content": "Nice to meet you, Ben!"},
        {"role": "user", "content": "What is my name?"},
    ]
    assert ask(model, *talk) == "Your name is Ben."


def test_token_ids_are_those_of_the_training(model: farthing.Model, reference: Numpy) -> None:
    texts = [document.text for document in islice(documents(4), 50)]
    for text in [*texts, "Zürich 🦊  #$\n"]:
        ids = reference.encoder.encode(text)
        assert model.tokenizer.encode(text, parse_special=True) == ids


def test_logits_are_those_of_the_reference(model: farthing.Model, reference: Numpy) -> None:
    ids = reference.encoder.encode("Once upon a time there was a little fox named Pip.")
    ours, theirs = model.logits(ids), reference.logits(ids, [])
    assert ours.shape == theirs.shape
    assert (ours.argmax(-1) == theirs.argmax(-1)).mean() > 0.9
    assert abs(ours - theirs).max() < 0.05 * abs(theirs).max()
