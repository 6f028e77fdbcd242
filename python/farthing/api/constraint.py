"""Constrained output: from the options of a call to a grammar."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from farthing.errors import RequestError

if TYPE_CHECKING:
    from farthing._native import Grammar, Vocabulary


class ConstraintOptions(TypedDict, total=False):
    """What may be generated: at most one of these; by default, anything."""

    response_format: Mapping[str, Any] | type | None
    """As in OpenAI's API: `{"type": "text"}`, `{"type": "json_object"}`, which may have a `schema`,
    `{"type": "json_schema", "json_schema": {"schema": ...}}`; or as `json_schema`."""
    json_schema: Mapping[str, Any] | str | bool | type | None
    """JSON by a schema: a mapping, JSON text, or a class of pydantic."""
    grammar: str | None
    """A grammar in GBNF, llama.cpp's notation; in Lark's if it begins with `%llguidance`."""
    lark: str | None
    """A grammar in Lark's notation, as the library llguidance understands it."""
    regex: str | None
    """Text that all of a regular expression matches."""
    choices: Iterable[str] | None
    """One of some texts."""


NAMES = tuple(ConstraintOptions.__annotations__)


@dataclass(frozen=True, slots=True)
class Source:
    """A grammar as the caller wrote it."""

    kind: str
    """A method of `Vocabulary`."""
    text: str | list[str] = ""

    def compile(self, vocabulary: Vocabulary) -> Grammar:
        """Raises RequestError saying what cannot be understood, and where."""
        arguments = () if self.kind == "json_object" else (self.text,)
        try:
            grammar: Grammar = getattr(vocabulary, self.kind)(*arguments)
        except UnicodeEncodeError as error:
            option = "grammar" if self.kind == "gbnf" else self.kind
            raise RequestError(f"{option}: {error}") from None
        return grammar


def source_of(options: Mapping[str, Any]) -> Source | None:
    """The grammar that options ask for; raises RequestError if it is more than one, or none."""
    given = [name for name in NAMES if options.get(name) is not None]
    if len(given) > 1:
        raise RequestError(f"{given[0]} and {given[1]} exclude each other")
    if not given:
        return None
    name, value = given[0], options[given[0]]
    match name:
        case "response_format":
            return _response_format(value)
        case "json_schema":
            return _schema(name, value)
        case "choices":
            return Source(name, _choices(value))
    if not isinstance(value, str):
        raise RequestError(f"{name} is a {type(value).__name__}, but must be a str")
    if name == "grammar":
        name = "lark" if value.lstrip().startswith("%llguidance") else "gbnf"
    return Source(name, value)


def _response_format(value: Any) -> Source | None:
    if isinstance(value, type):
        return _schema("response_format", value)
    match value:
        case {"type": "text"}:
            return None
        case {"type": "json_object", "schema": schema} if schema is not None:
            return _schema("response_format['schema']", schema)
        case {"type": "json_object"}:
            return Source("json_object")
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return _schema("response_format['json_schema']['schema']", schema)
    raise RequestError(
        f"response_format is {value!r}, but must be {{'type': 'text'}}, {{'type': 'json_object'}} "
        "or {'type': 'json_schema', 'json_schema': {'schema': ...}}"
    )


def _schema(name: str, value: Any) -> Source:
    if hasattr(value, "model_json_schema"):
        value = value.model_json_schema()
    if isinstance(value, str):
        return Source("json_schema", value)
    if not isinstance(value, Mapping | bool):
        raise RequestError(
            f"{name} is {value!r}, but must be a mapping, JSON text or a class of pydantic"
        )
    try:
        return Source("json_schema", json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"{name} is not JSON: {error}") from error


def _choices(value: Any) -> list[str]:
    texts = [] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise RequestError(f"choices is {value!r}, but must be a list of texts")
    return texts
