"""The Jinja dialect of chat templates: what `transformers` gives them, in a sandbox.

Templates come with model files and are not trusted: they can neither reach Python's internals nor
change what they are given.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, Template, nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class RaisedByTemplateError(Exception):
    """The template called `raise_exception`; its message is meant for users."""


def compile_template(source: str, now: Callable[[], datetime]) -> Template:
    """The compiled template; raises `jinja2.TemplateSyntaxError`. `now` is its clock."""

    def strftime_now(pattern: str) -> str:
        return now().strftime(pattern)

    return _environment().from_string(source, globals={"strftime_now": strftime_now})


class _Given(list[Any]):
    """A list that the template was given, which it cannot change."""


def guarded(value: Any) -> Any:
    """The value with its lists marked as given; which templates cannot change."""
    if isinstance(value, dict):
        return {key: guarded(item) for key, item in value.items()}
    return _Given(map(guarded, value)) if isinstance(value, list) else value


class _Sandbox(ImmutableSandboxedEnvironment):
    """The immutable sandbox; a template may change the lists that it made itself."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if attr in ("append", "pop") and type(obj) is list:
            return True
        return super().is_safe_attribute(obj, attr, value)


class _Generation(Extension):
    """`{% generation %}` marks what the model is trained on; here it only prints its body."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = _Sandbox(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[LoopControlExtension, _Generation],
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON: Jinja's own filter writes HTML escapes, which models have never seen."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: object) -> None:
    raise RaisedByTemplateError(str(message))
