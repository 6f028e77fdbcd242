"""What GBNF, llama.cpp's notation for grammars, means for what is generated."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

import pytest

from farthing import Completion, Model

CASES = {
    "text": ('root ::= "red" | "green"', "red|green"),
    "escapes": (r'root ::= "\x41\u00e9\U0001F98A\"\\\n\t[\]"', 'Aé🦊"\\\\\n\t\\[\\]'),
    "class": ("root ::= [a-c_0-9]{4}", "[a-c_0-9]{4}"),
    "class with marks": (r'root ::= [\]\[\-^\\"]{6}', r'[\]\[\-^\\"]{6}'),
    "hyphen at the end": ("root ::= [ab-]{5}", "[ab-]{5}"),
    "no class": ('root ::= "<" [^<>\\n]{1,9} ">"', "<[^<>\n]{1,9}>"),
    "beyond ASCII": ("root ::= [\\u00e0-\\u00ff]{3} [ぁ-ゟ]", "[à-ÿ]{3}[ぁ-ゟ]"),
    "any character": ('root ::= .{3} "!"', "(?s:.{3}!)"),
    "optional": ('root ::= "a"? "b" ("c" | "d")?', "a?b[cd]?"),
    "repetitions": ('root ::= "a"{2} "b"{1,3} "c"{2,} "d"*', "a{2}b{1,3}c{2,}d*"),
    "none or some": ('root ::= ("ab" "c"+){0,2} "."', "(abc+){0,2}[.]"),
    "rules": ('root ::= item ("," item){2}\nitem ::= [0-9]+ unit?\nunit ::= "kg" | "m"', None),
    "comments": ('# a comment\nroot ::= # here too\n  "a" # and here\n\n# the end', "a"),
    "lines": ('root ::= (\n  "a" |\n  "b"\n)\n  \n', "[ab]"),
    "recursion": ('root ::= "(" root ")" | "x"', r"\(*x\)*"),
    "left recursion": ('root ::= root "a" | "b"', "ba*"),
    "a name twice": ('root ::= "a"\nroot ::= "b"', "b"),
    "windows lines": ('root ::= a "b"\r\na ::= "a"\r\n', "ab"),
}
CASES["rules"] = (CASES["rules"][0], r"[0-9]+(kg|m)?(,[0-9]+(kg|m)?){2}")

ARITHMETIC = r"""
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"""

JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array  ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [1-9] [0-9]{0,1})? ws
ws     ::= | " " | "\n" [ \t]{0,20}
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[Model]:
    with Model("demo", n_ctx=512) as model:
        yield model


def answers(model: Model, grammar: str, n: int = 6, max_tokens: int = 120) -> list[Completion]:
    """Texts by a grammar."""
    options = {"temperature": 2.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 1}
    first = model.generate("It is", n=n, grammar=grammar, max_tokens=max_tokens, **options)
    return [first, *first.others]


def texts(model: Model, grammar: str, n: int = 6, max_tokens: int = 120) -> list[str]:
    """Those that ended by themselves."""
    found = answers(model, grammar, n, max_tokens)
    return [answer.text for answer in found if answer.finish_reason == "stop"]


@pytest.mark.parametrize("name", CASES)
def test_texts_are_those_of_the_grammar(demo: Model, name: str) -> None:
    grammar, pattern = CASES[name]
    found = texts(demo, grammar)
    assert found
    for text in found:
        assert pattern is not None
        assert re.fullmatch(pattern, text), text


def test_arithmetic(demo: Model) -> None:
    for answer in answers(demo, ARITHMETIC):
        assert re.fullmatch(r"[a-z0-9_()+*/=\s-]+", answer.text)
        depths = list(itertools.accumulate({"(": 1, ")": -1}.get(c, 0) for c in answer.text))
        assert min(depths) >= 0
        for at in re.finditer("=", answer.text):
            assert depths[at.start()] == 0


def test_json(demo: Model) -> None:
    found = texts(demo, JSON, n=12, max_tokens=300)
    assert found
    assert all(isinstance(json.loads(text), dict) for text in found)


def test_tokens(demo: Model) -> None:
    token = demo.tokenizer.encode("the", add_special=False)[0]
    for grammar in (f'root ::= "a" <[{token}]>', f'root ::= "a" !<[{token}]> <[{token}]>'):
        answer = demo.generate("It is", grammar=grammar, max_tokens=9, seed=1)
        assert answer.tokens[-1] == token
        assert answer.tokens.count(token) == 1
