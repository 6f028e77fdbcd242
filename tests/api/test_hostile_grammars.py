"""Grammars made to harm: an error or an answer within bounds of time and memory."""

from __future__ import annotations

import functools
import json
import resource
import time
from collections.abc import Iterator
from typing import Any

import pytest

from farthing import FarthingError, Model, RequestError

SECONDS = 60
"""Of the CPU's time, of one of them at the most."""
MEGABYTES = 1500

DOUBLED = "\n".join(f"r{n} ::= r{n + 1} r{n + 1}" for n in range(40))
CHAIN = "\n".join(f"r{n} ::= r{n + 1}" for n in range(1998))


def nested(n: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "integer"}
    return functools.reduce(lambda inner, _: {"type": "array", "items": inner}, range(n), inner)


def branching(n: int) -> dict[str, Any]:
    """A schema whose normal form has 2^n parts."""
    inner: dict[str, Any] = {"type": "integer"}
    for least in range(n):
        options = [inner, {"type": "string", "minLength": least}]
        inner = {"allOf": [{"anyOf": options}, {"anyOf": [inner, {"maxLength": least}]}]}
    return inner


REFUSED = {
    "ten megabytes": ({"json_schema": {"enum": ["x" * 10_000_000]}}, "at most 1048576"),
    "nested too deep": ({"json_schema": '{"items":' * 5000 + "{}" + "}" * 5000}, "recursion limit"),
    "remote": ({"json_schema": {"$ref": "http://127.0.0.1:9/a"}}, "within the schema"),
    "a file": ({"json_schema": {"items": {"$ref": "file:///etc/passwd"}}}, "within the schema"),
    "itself": ({"json_schema": {"$ref": "#"}}, "refers to itself"),
    "circle": ({"json_schema": {"allOf": [{"allOf": [{"$ref": "#"}]}]}}, "refers to itself"),
    "many properties": (
        {"json_schema": {"properties": {f"a{n}": {} for n in range(9999)}}},
        "1000",
    ),
    "many options": ({"json_schema": {"oneOf": [{"const": n} for n in range(9999)]}}, "256"),
    "branching": ({"json_schema": branching(9)}, "too large"),
    "parentheses": ({"regex": "(" * 5000 + "a" + ")" * 5000}, "nested"),
    "look around": ({"regex": "(?!a)b"}, "look-around"),
    "back reference": ({"regex": r"(a)\1"}, "backreference"),
    "doubling": ({"grammar": f'root ::= r0\n{DOUBLED}\nr40 ::= "a"'}, "written out"),
    "many rules": ({"grammar": "\n".join(f'r{n} ::= "a"' for n in range(3000))}, "2000 rules"),
    "groups": ({"grammar": f"root ::= {'(' * 5000}"}, "nested"),
    "surrogates": ({"regex": "\ud800"}, "regex: .*surrogates"),
    "surrogates in a schema": ({"json_schema": {"const": "\ud800"}}, "json_schema: .*surrogates"),
    "surrogates in a grammar": ({"grammar": 'root ::= "\ud800"'}, "grammar: .*surrogates"),
}

BOUNDED = {
    "nested repetitions": {"regex": "(a{1,1000}){1,1000}"},
    "exponential": {"regex": "(.*a){20}.{50}b"},
    "alternatives": {"regex": "(a|aa)+" * 50},
    "a long text": {"json_schema": {"type": "string", "maxLength": 10**9}},
    "many items": {"json_schema": {"type": "array", "items": {}, "minItems": 10**6}},
    "deep": {"json_schema": nested(100)},
    "any of itself": {"json_schema": {"anyOf": [{"$ref": "#"}, {"const": 1}]}},
    "left recursion": {"grammar": 'root ::= root root "a" | root "b" | ""'},
    "recursion that grows": {"grammar": 'root ::= "(" root root ")" | "x" root | "y"'},
    "empty circles": {"grammar": 'root ::= a | "x"\na ::= b*\nb ::= a | ""'},
    "no end": {"grammar": 'root ::= "a" root'},
    "ambiguous": {"grammar": 'root ::= root root | "a" | "a" "a"'},
    "repetitions of repetitions": {"grammar": 'root ::= (("a"{1,1000}){1,1000}){1,1000}'},
    "a chain of rules": {"grammar": f'root ::= r0\n{CHAIN}\nr1998 ::= "a"'},
    "lark": {"lark": 'start: start start | "a"'},
}


@pytest.fixture(scope="module")
def demo() -> Iterator[Model]:
    with Model("demo", n_ctx=256) as model:
        yield model


@pytest.fixture(autouse=True)
def bounded(demo: Model) -> Iterator[None]:
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - start < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MEGABYTES
    assert demo.generate("It is", choices=["red"], max_tokens=9).text == "red"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(demo: Model, name: str) -> None:
    options, message = REFUSED[name]
    with pytest.raises(RequestError, match=message):
        demo.generate("It is", max_tokens=9, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BOUNDED)
def test_what_takes_its_time(demo: Model, name: str) -> None:
    try:
        answer = demo.generate("It is", max_tokens=40, temperature=2, seed=1, **BOUNDED[name])
    except FarthingError:
        return
    assert answer.finish_reason in ("stop", "length")
    if answer.finish_reason == "stop" and "json_schema" in BOUNDED[name]:
        json.loads(answer.text)
