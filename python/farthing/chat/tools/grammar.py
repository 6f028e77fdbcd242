"""Tool calls as a grammar, in Lark's notation as the library llguidance understands it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from farthing.chat.tools.base import NUMBER, Start, ToolFormat, ToolSet
from farthing.chat.tools.parts import Items, Json, Members, Part, Pattern, String, Text

_SPACE = "/ |\\n{1,2}[ \\t]{0,8}/?"
"""White space that may stand in a gap; without a bound, models can go on with it for ever."""


@dataclass(frozen=True)
class CallGrammar:
    """What a model may write once it begins to call."""

    lark: str
    schemas: list[tuple[str, str]]
    """Names that the grammar refers to, and JSON schemas."""
    texts: list[tuple[str, str, str]]
    """Terminals that the grammar refers to, JSON schemas of strings, and what they do not have."""
    triggers: list[tuple[str, bool, bool]]
    """Where it begins, as `_native.Constraint` has it; nothing if at once."""


def call_grammar(
    form: ToolFormat,
    tools: ToolSet,
    special: Mapping[str, int],
    *,
    opening: str | None = None,
    names: list[str] | None = None,
    several: bool = True,
    otherwise: str | None = None,
) -> CallGrammar:
    """The grammar of calls of `names`, by default of all tools.

    `special` are the special tokens that may be part of its texts. `opening` is how the calls begin
    in the prompt; without it the grammar begins where the format says. `otherwise` is the JSON
    schema of an answer without calls, which makes the grammar begin at once too. With `several`
    there may be more than one call. Raises RequestError for what the format cannot write.
    """
    writer = _Writer(form, special)
    firsts, others, triggers = [], [], {}
    between, end = "", ""
    for name in list(tools.schemas) if names is None else names:
        frame = form.frame(name)
        call = writer.rule("c", [*form.arguments(tools.schemas[name]), Text(frame.end)])
        for start in [_opened(form, name, opening)] if opening is not None else form.starts(name):
            firsts.append(f"{writer.text(start.trigger)} {writer.text(start.rest)} {call}")
            triggers[start.trigger, start.first, False] = True
        others.append(f"{writer.text(frame.begin.lstrip())} {call}")
        between, end = writer.text(frame.separator.strip()), writer.text(frame.section_end.lstrip())
    tail = f"{_SPACE} {end}" if end else ""
    more = f"({_SPACE} {between} {_SPACE} other)* " if several else ""
    answer = ""
    if otherwise is not None:
        answer = " | @answer"
        writer.schemas.append(("answer", otherwise))
    at_once = opening is not None or otherwise is not None
    rules = [f"start: calls{answer}", f"calls: first {more}{tail}", "first: " + " | ".join(firsts)]
    if several:
        rules.append("other: " + " | ".join(others))
    return CallGrammar(
        "\n".join([*rules, *writer.lines]),
        writer.schemas,
        writer.texts,
        [] if at_once else list(triggers),
    )


def _opened(form: ToolFormat, name: str, opening: str) -> Start:
    """What is left of how a call begins."""
    frame = form.frame(name)
    begin = (frame.section_begin + frame.begin).replace(NUMBER, form.first_number, 1)
    return Start("", begin[len(opening) :])


@dataclass
class _Writer:
    form: ToolFormat
    special: Mapping[str, int]
    lines: list[str] = field(default_factory=list)
    schemas: list[tuple[str, str]] = field(default_factory=list)
    texts: list[tuple[str, str, str]] = field(default_factory=list)
    n_names: int = 0

    def name(self, prefix: str) -> str:
        self.n_names += 1
        return f"{prefix}{self.n_names}"

    def rule(self, prefix: str, parts: Iterable[Part]) -> str:
        """The name of a rule for parts."""
        return self.named(prefix, " ".join(filter(None, map(self.part, parts))))

    def named(self, prefix: str, body: str) -> str:
        name = self.name(prefix)
        self.lines.append(f"{name}: {body or _NOTHING}")
        return name

    def part(self, part: Part) -> str:
        match part:
            case Text(text, exact):
                return " ".join(self._pieces(text, loose=not exact))
            case Pattern(regex):
                return f"/{regex}/"
            case Json(schema):
                return self.json(schema)
            case String(schema, end):
                return self.string(schema, end)
            case Items():
                return self.items(part)
            case Members():
                return self.members(part)

    def text(self, text: str) -> str:
        return " ".join(self._pieces(text))

    def json(self, schema: Mapping[str, Any]) -> str:
        name = self.name("s")
        self.schemas.append((name, json.dumps(schema, ensure_ascii=False)))
        return f"@{name}"

    def string(self, schema: Mapping[str, Any], end: str) -> str:
        """A text as one terminal, and what ends it."""
        pieces = self._pieces(end, loose=False)
        terminal = self.name("T")
        # Whoever reads it takes the first such text for the end, whatever is around it.
        self.texts.append((terminal, json.dumps(schema, ensure_ascii=False), end.strip()))
        if any(piece.startswith("<") for piece in pieces):
            return " ".join([terminal, *pieces])
        name = self.name("f")
        self.lines.append(f"{name}[suffix={_quoted(end)}]: {terminal}")
        return name

    def items(self, items: Items) -> str:
        item = self.rule("i", items.parts)
        separator = self.text(items.separator)
        most = "" if items.most is None else str(max(items.most - 1, 0))
        more = self.named("i", f"{separator} {item}")
        several = f"{item} {more}{{{max(items.least - 1, 0)},{most}}}"
        if items.most == 0:
            several = ""
        return self.named("i", several) + ("?" if items.least == 0 else "")

    def members(self, members: Members) -> str:
        """Rules for what is left from a member on, after none of them and after some."""
        separator = self.text(members.separator)
        after_none = after_some = self.named("m", "")
        for member in reversed(members.members):
            parts = self.rule("m", member.parts)
            none, some = f"{parts} {after_some}", f"{separator} {parts} {after_some}"
            if not member.required:
                none, some = f"{none} | {after_none}", f"{some} | {after_some}"
            after_none, after_some = self.named("m", none), self.named("m", some)
        return after_none

    def _pieces(self, text: str, *, loose: bool = True) -> list[str]:
        by_length = sorted(self.special, key=len, reverse=True)
        pattern = "|".join(map(re.escape, (*by_length, NUMBER)))
        pieces: list[str] = []
        for piece in filter(None, re.split(f"({pattern})", text)):
            if piece in self.special:
                pieces.append(f"<[{self.special[piece]}]>")
            elif piece == NUMBER:
                pieces.append(f"/{self.form.number}/")
            else:
                solid = re.split(self.form.gaps, piece) if loose and self.form.gaps else [piece]
                spaced = [part for text in solid for part in (_SPACE, text and _quoted(text))]
                pieces += filter(None, spaced[1:])
        return pieces


_NOTHING = '""'


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
