"""What a call's arguments are made of, for grammars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Text:
    """This text."""

    text: str


@dataclass(frozen=True)
class Json:
    """JSON by a schema."""

    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Free:
    """Any text up to this one, which is read too."""

    end: str


@dataclass(frozen=True)
class Maybe:
    """These parts or none of them."""

    parts: tuple[Part, ...]


Part: TypeAlias = Text | Json | Free | Maybe
