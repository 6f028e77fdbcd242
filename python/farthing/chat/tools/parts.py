"""What a call's arguments are made of, for grammars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Text:
    """This text."""

    text: str
    exact: bool = False
    """Whether white space may not be more or less, as `ToolFormat.gaps` says."""


@dataclass(frozen=True)
class Pattern:
    """Text that all of a regular expression matches."""

    regex: str


@dataclass(frozen=True)
class Json:
    """JSON by a schema."""

    schema: Mapping[str, Any]


@dataclass(frozen=True)
class String:
    """A string by a schema, as plain text up to `end`, which comes too."""

    schema: Mapping[str, Any]
    end: str


@dataclass(frozen=True)
class Items:
    """These parts, from `least` to `most` times; None: any number."""

    parts: tuple[Part, ...]
    separator: str
    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Member:
    """A property of an object."""

    parts: tuple[Part, ...]
    required: bool


@dataclass(frozen=True)
class Members:
    """Some of these, in their order."""

    members: tuple[Member, ...]
    separator: str


Part: TypeAlias = Text | Pattern | Json | String | Items | Members
