"""Tool calls as a grammar, in Lark's notation as the library llguidance understands it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from farthing.chat.tools.base import ToolFormat, ToolSet
from farthing.chat.tools.parts import Free, Json, Maybe, Part, Text

Admit: TypeAlias = Callable[[str, str], str]
"""Takes a tool's name and a JSON schema as text, and gives the schema to use."""

_SPACE = "/[ \\n]{1,3}/?"


@dataclass(frozen=True)
class CallGrammar:
    """What a model may write once it begins to call."""

    lark: str
    schemas: list[tuple[str, str]]
    """Names that the grammar refers to, and JSON schemas."""
    triggers: list[tuple[str, bool, bool]]
    """Where it begins, as `_native.Constraint` has it; nothing if at once."""


def call_grammar(
    form: ToolFormat,
    tools: ToolSet,
    special: Mapping[str, int],
    admit: Admit,
    *,
    opening: str | None = None,
    names: list[str] | None = None,
    several: bool = True,
    otherwise: str | None = None,
) -> CallGrammar | None:
    """The grammar of calls of `names`, by default of all tools; None if the format has none.

    `special` are the special tokens that may be part of its texts. `opening` is how the calls begin
    in the prompt; without it the grammar begins at the format's triggers. `otherwise` is the JSON
    schema of an answer without calls, which makes the grammar begin at once too. With `several`
    there may be more than one call.
    """
    chosen = list(tools.schemas) if names is None else names
    triggers = form.grammar_triggers
    if not chosen or (opening is None and not triggers) or (several and form.numbered):
        return None
    writer = _Writer(special, admit)
    firsts, others = [], []
    ends = ("", "")
    for name in chosen:
        frame, arguments = form.frame(name), form.arguments(tools.schemas[name])
        if frame is None or arguments is None:
            return None
        begin = frame.section_begin + frame.begin
        if opening is None:
            begin = begin.lstrip()
        elif begin.startswith(opening):
            begin = begin[len(opening) :]
        else:
            return None
        call = writer.rule("c", [*arguments, Text(frame.end)], name)
        firsts.append(f"{writer.text(begin)} {call}")
        others.append(f"{writer.text(frame.begin.lstrip())} {call}")
        ends = (frame.separator.strip(), frame.section_end)
    end = writer.text(ends[1].lstrip())
    tail = f"{_SPACE} {end}" if end else ""
    more = f"({_SPACE} {writer.text(ends[0])} {_SPACE} other)* " if several else ""
    writer.lines.append("first: " + " | ".join(firsts))
    if several:
        writer.lines.append("other: " + " | ".join(others))
    writer.lines.append(f"calls: first {more}{tail}")
    answer = " | @answer" if otherwise is not None else ""
    writer.lines.append(f"start: calls{answer}")
    if otherwise is not None:
        writer.schemas.append(("answer", otherwise))
    at_once = opening is not None or otherwise is not None
    begun = [] if at_once else [(text, first, False) for text, first in triggers]
    return CallGrammar("\n".join(writer.lines), writer.schemas, begun)


@dataclass
class _Writer:
    special: Mapping[str, int]
    admit: Admit
    lines: list[str] = field(default_factory=list)
    schemas: list[tuple[str, str]] = field(default_factory=list)
    n_names: int = 0

    def name(self, prefix: str) -> str:
        self.n_names += 1
        return f"{prefix}{self.n_names}"

    def rule(self, prefix: str, parts: list[Part], tool: str) -> str:
        """The name of a rule for parts of a tool's call."""
        body = " ".join(filter(None, (self.part(part, tool) for part in parts)))
        name = self.name(prefix)
        self.lines.append(f"{name}: {body}")
        return name

    def part(self, part: Part, tool: str) -> str:
        match part:
            case Text(text):
                return self.text(text)
            case Json(schema):
                return self.json(schema, tool)
            case Maybe(parts):
                return self.rule("m", list(parts), tool) + "?"
            case Free(end):
                return self.free(end)

    def text(self, text: str) -> str:
        return " ".join(self._pieces(text))

    def json(self, schema: Mapping[str, Any], tool: str) -> str:
        name = self.name("s")
        given = json.dumps(schema, ensure_ascii=False)
        self.schemas.append((name, self.admit(tool, given)))
        return f"@{name}"

    def free(self, end: str) -> str:
        """Any text up to `end`, and that too."""
        pieces = self._pieces(end)
        name = self.name("f")
        if len(pieces) == 1 and pieces[0].startswith('"'):
            self.lines.append(f"{name}[suffix={pieces[0]}]: /(?s:.*)/")
            return name
        # A special token ends any text; the white space before it is part of that.
        first = next((n for n, piece in enumerate(pieces) if piece.startswith("<")), 0)
        self.lines.append(f"{name}: /(?s:.*)/")
        return " ".join([name, *pieces[first:]])

    def _pieces(self, text: str) -> list[str]:
        by_length = sorted(self.special, key=len, reverse=True)
        pattern = "|".join(map(re.escape, by_length)) or r"(?!)"
        pieces = filter(None, re.split(f"({pattern})", text))
        return [
            f"<[{self.special[piece]}]>" if piece in self.special else _quoted(piece)
            for piece in pieces
        ]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
