"""What comes out keeps to the grammar asked for; what cannot be understood is an error."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

import farthing

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
}


@pytest.fixture(scope="module")
def demo() -> Iterator[farthing.Model]:
    with farthing.Model("demo", n_ctx=1024) as model:
        yield model


def check_person(text: str) -> None:
    person = json.loads(text)
    assert list(person) == ["name", "age"]
    assert 1 <= len(person["name"]) <= 20
    assert 0 <= person["age"] <= 150


@pytest.mark.parametrize(
    "options",
    [
        {"json_schema": PERSON},
        {"json_schema": json.dumps(PERSON)},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": PERSON}}},
        {"response_format": {"type": "json_object", "schema": PERSON}},
    ],
)
def test_a_schema_can_be_given_in_several_ways(
    demo: farthing.Model, options: dict[str, Any]
) -> None:
    for seed in range(3):
        answer = demo.generate("A person:", max_tokens=300, seed=seed, **options)
        assert answer.finish_reason == "stop"
        check_person(answer.text)


def test_a_class_like_those_of_pydantic_is_a_schema(demo: farthing.Model) -> None:
    class Person:
        @classmethod
        def model_json_schema(cls) -> dict[str, Any]:
            return PERSON

    check_person(demo.generate("A person:", max_tokens=300, seed=1, json_schema=Person).text)
    check_person(demo.generate("A person:", max_tokens=300, seed=1, response_format=Person).text)


def test_any_object(demo: farthing.Model) -> None:
    messages = [{"role": "user", "content": "Tell me about a fox."}]
    answer = demo.chat(messages, response_format={"type": "json_object"}, max_tokens=400, seed=1)
    assert answer.finish_reason == "length" or isinstance(json.loads(answer.text), dict)
    assert answer.text.startswith("{")


def test_text_is_no_constraint(demo: farthing.Model) -> None:
    free = demo.generate("Once upon", max_tokens=20, temperature=0)
    text = {"type": "text"}
    same = demo.generate("Once upon", max_tokens=20, temperature=0, response_format=text)
    assert same.tokens == free.tokens


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_regex_choices_and_lark(demo: farthing.Model, temperature: float) -> None:
    def said(**options: Any) -> str:
        answer = demo.generate("It is", temperature=temperature, max_tokens=100, seed=1, **options)
        assert answer.finish_reason == "stop"
        return answer.text

    assert re.fullmatch(r"\+\d{2} \d{3}-\d{4}", said(regex=r"^\+[0-9]{2} [0-9]{3}-[0-9]{4}$"))
    assert said(choices=["red", "green", "dark green"]) in ("red", "green", "dark green")
    sum_ = said(lark='start: n ("+" n)~2\nn: /[0-9]{1,3}/')
    assert re.fullmatch(r"\d{1,3}\+\d{1,3}\+\d{1,3}", sum_)


async def test_every_way_of_generating_takes_them(demo: farthing.Model) -> None:
    choices = ["red", "green"]
    messages = [{"role": "user", "content": "Which colour?"}]
    assert (await demo.agenerate("It is", choices=choices)).text in choices
    assert "".join([piece async for piece in demo.stream("It is", choices=choices)]) in choices
    assert (await demo.achat(messages, choices=choices)).text in choices
    assert "".join(demo.chat_stream(messages, choices=choices)) in choices


def test_too_few_tokens_end_in_the_middle(demo: farthing.Model) -> None:
    answer = demo.generate("A person:", json_schema=PERSON, max_tokens=3)
    assert (answer.finish_reason, len(answer.tokens)) == ("length", 3)


def test_a_grammar_takes_samplers_and_logprobs(demo: farthing.Model) -> None:
    answer = demo.generate(
        "A person:",
        json_schema=PERSON,
        max_tokens=200,
        seed=1,
        top_k=2,
        typical_p=0.5,
        logprobs=2,
    )
    check_person(answer.text)
    assert answer.logprobs is not None
    assert all(entry.logprob <= 0 and len(entry.top) == 2 for entry in answer.logprobs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regex": "a", "choices": ["b"]}, "regex and choices exclude each other"),
        ({"json_schema": {"properties": {"a": {"not": {}}}}}, "at /properties/a: not is not"),
        ({"json_schema": {"uniqueItems": True}}, "at the schema's root: uniqueItems is not"),
        ({"json_schema": {"items": {"if": {}}}}, "at /items: if is not supported"),
        ({"json_schema": {"$ref": "http://a/b"}}, "only references within the schema"),
        ({"json_schema": {"items": {"format": "zip"}}}, 'at /items: the format "zip"'),
        ({"json_schema": {"items": {"pattern": "(?=a)"}}}, "at /items: regex parse error"),
        ({"json_schema": {"items": {"type": "strin"}}}, "at /items: Invalid type: strin"),
        ({"json_schema": "{"}, "json_schema: it is not valid JSON"),
        ({"json_schema": 3}, "json_schema is 3"),
        ({"json_schema": {"enum": [{1}]}}, "json_schema is not JSON"),
        ({"regex": "(a"}, 'regex: unclosed group, in "(a"'),
        ({"regex": ""}, "regex: it is empty"),
        ({"regex": 1}, "regex is a int"),
        ({"lark": "start: x"}, 'lark: at 1(8): unknown name: "x"'),
        ({"choices": "abc"}, "choices is 'abc'"),
        ({"choices": []}, "choices is []"),
        ({"choices": ["a", ""]}, "choices: [1] is empty"),
        ({"response_format": {"type": "xml"}}, "response_format is {'type': 'xml'}"),
        ({"response_format": {"type": "json_schema"}}, "response_format is"),
        ({"lark": "start: /" + "a" * 2_000_000 + "/"}, "at most 1048576 are allowed"),
    ],
)
def test_what_cannot_be_understood_is_an_error(
    demo: farthing.Model, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(farthing.RequestError, match=re.escape(message)):
        demo.generate("Hello", **options)
