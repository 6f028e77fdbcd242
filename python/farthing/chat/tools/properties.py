"""Objects whose properties are written one by one, not as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from farthing.chat.tools.parts import Items, Member, Members, Part
from farthing.errors import RequestError

DEFINITIONS = ("$defs", "definitions")
"""Keywords of what references lead to."""

ANNOTATIONS = frozenset(
    ("$comment", "$id", "$schema", "default", "deprecated", "description", "examples")
    + ("readOnly", "title", "writeOnly")
)
"""Keywords that say nothing of a value."""

_OBJECT = {"type", "properties", "required", "additionalProperties", *DEFINITIONS, *ANNOTATIONS}

Write = Callable[[str | None, Mapping[str, Any]], "tuple[Part, ...]"]
"""Takes a property's name, None for any, and its schema, and gives what is written."""


def is_free(schema: Mapping[str, Any]) -> bool:
    """Whether a schema says nothing of a value."""
    return all(keyword in ANNOTATIONS or keyword in DEFINITIONS for keyword in schema)


@dataclass(frozen=True)
class Properties:
    """What an object's schema says of its properties."""

    listed: dict[str, Mapping[str, Any]]
    required: frozenset[str]
    others: Mapping[str, Any] | None
    """The schema of all others; None where there are to be none."""

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Properties:
        """Raises RequestError for what can only be said of an object as a whole.

        Objects that list properties get no others.
        """
        for keyword in schema:
            if keyword not in _OBJECT:
                raise RequestError(
                    f"{keyword} is not supported for objects that are written property by property"
                )
        if schema.get("type", "object") != "object":
            raise RequestError(f"type is {schema['type']!r}, but must be 'object'")
        given = {name: schema.get(name) for name in ("properties", "required")}
        properties, required = given["properties"] or {}, given["required"] or []
        if not isinstance(properties, Mapping) or not isinstance(required, list | tuple):
            raise RequestError(f"properties and required are {given}, but must be object and list")
        shared = {key: schema[key] for key in DEFINITIONS if key in schema}
        listed = {
            name: _with(shared, value)
            for name, value in ({name: {} for name in required} | dict(properties)).items()
            if value is not False or name in required
        }
        others = schema.get("additionalProperties", True)
        closed = bool(listed) or others is False
        return cls(listed, frozenset(required), None if closed else _with(shared, others))

    def part(self, write: Write, separator: str) -> Part:
        """What is written of such an object."""
        if self.others is not None:
            return Items(write(None, self.others), separator)
        members = (
            Member(write(name, schema), name in self.required)
            for name, schema in self.listed.items()
        )
        return Members(tuple(members), separator)


def _with(shared: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    if schema is True:
        return {}
    if not isinstance(schema, Mapping):
        raise RequestError(f"a property's schema is {schema!r}, but must be an object")
    return {**shared, **schema}
