"""Calls that are JSON objects, or a JSON array of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from farthing.chat.output import Output
from farthing.chat.reader import Reader, Steps
from farthing.chat.tools.base import Frame, Start, ToolFormat, ToolSet

_ARGUMENTS = ("arguments", "parameters", "args")
_NAMES = ("name", "tool_name")
_SPACES = ("", " ", "\n  ", "\n    ", "\n\t", "\n")
"""Which models write after the brace of a bare object."""


@dataclass(frozen=True, kw_only=True)
class JsonCalls(ToolFormat):
    """`{"name": ..., "arguments": {...}}` between two texts, one or several, or an array of them.

    The keys of other families are understood too, and so is OpenAI's `{"function": {...}}`.
    """

    keys: tuple[str, str] = ("name", "arguments")
    """As the model writes them."""
    lead: str = ""
    """What the model writes before the name, such as a number."""
    array: bool = False
    """Whether the model writes an array."""
    bare: bool = False
    """Whether an object that names a tool of the request is a call where content would begin."""
    gaps: str = r'\n+|(?<=[{\[:,]) ?(?=["{]|$)'

    def frame(self, name: str) -> Frame:
        """Arguments are the last value of the object."""
        name_key, arguments_key = self.keys
        quoted = json.dumps(name, ensure_ascii=False)
        begin = f'{{{self.lead}"{name_key}": {quoted}, "{arguments_key}": '
        if self.array:
            return Frame(begin, "}", f"{self.call[0]}[", f"]{self.call[1]}", ", ")
        return Frame(self.call[0] + begin, "}" + self.call[1], *self.section, self.separator)

    def starts(self, name: str) -> Sequence[Start]:
        """A bare object begins where the answer does."""
        starts = [*super().starts(name)]
        if self.bare:
            key = f'"{self.keys[0]}"'
            rest = self.frame(name).begin.partition(key)[2]
            starts += [Start(f"{{{space}{key}", rest, first=True) for space in _SPACES]
        return starts

    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read an object or an array of them."""
        first = yield from reader.peek_past_space()
        if first not in ("{", "["):
            return False
        yield from self._read(reader, "[")
        found = False
        while (yield from reader.peek_past_space()) == "{":
            if not (yield from self._object(reader, out)):
                break
            found = True
            reader.mark()
            yield from self._read(reader, f"{self.separator}\n,")
        yield from self._read(reader, "]")
        return found

    def begin_content(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read objects that name tools; anything else is content."""
        if not self.bare or (yield from reader.peek_past_space()) != "{":
            return False
        begun = yield from self._object(reader, out, tools)
        while begun:
            yield from self._read(reader, self.call[1])
            reader.mark()
            yield from self._read(reader, f"{self.separator}\n,")
            if (yield from reader.peek_past_space()) != "{":
                return True
            begun = yield from self._object(reader, out, tools)
        out.content(reader.since_mark())
        reader.mark()
        return False

    def _object(self, reader: Reader, out: Output, tools: ToolSet | None = None) -> Steps[bool]:
        """Read a call, of a tool of the request if these are given."""
        yield from reader.space()
        call = _Call(out, tools)
        complete = yield from call.read(reader)
        if call.started:
            out.end(well_formed=complete or call.arguments_complete)
        return call.started


@dataclass
class _Call:
    """One object being read."""

    out: Output
    tools: ToolSet | None
    name: str = ""
    started: bool = False
    arguments_complete: bool = False
    held: list[str] = field(default_factory=list)
    """Arguments that came before the name."""

    def read(self, reader: Reader, inner: bool = False) -> Steps[bool]:
        """Read the object; True if all of it is there and it is a call."""
        yield from reader.literal("{")
        while True:
            yield from reader.space()
            if (yield from reader.literal("}")):
                break
            key = yield from reader.json_string()
            yield from reader.space()
            if key is None or not (yield from reader.literal(":")):
                return False
            yield from reader.space()
            if not (yield from self._value(reader, key)):
                return False
            yield from reader.space()
            if not (yield from reader.literal(",")) and (yield from reader.peek()) != "}":
                return False
        return inner or self.started or (bool(self.name) and self._start())

    def _value(self, reader: Reader, key: str) -> Steps[bool]:
        if key in _NAMES and not self.name:
            self.name = (yield from reader.json_string()) or ""
            if not self.name or (self.tools is not None and not self.tools.knows(self.name)):
                return False
            return not self.held or self._start()
        if key in _ARGUMENTS and not self.started and not self.held:
            return (yield from self._arguments(reader))
        if key == "function" and (yield from reader.peek()) == "{":
            return (yield from self.read(reader, inner=True))
        return (yield from reader.json_text()) is not None

    def _arguments(self, reader: Reader) -> Steps[bool]:
        if (yield from reader.peek()) == '"':
            # Some models write the object as a string that holds it.
            text = yield from reader.json_string()
            if text is None:
                return False
            self.held.append(text)
        elif not self.name:
            text = yield from reader.json_text()
            if text is None:
                return False
            self.held.append(text)
        else:
            self._start()
            if (yield from reader.peek()) == "n":  # null: no arguments
                return (yield from reader.json_text()) is not None
            self.arguments_complete = yield from reader.json_value(self.out.arguments)
            return self.arguments_complete
        return not self.name or self._start()

    def _start(self) -> bool:
        self.started = True
        self.out.start(self.name)
        for text in self.held:
            self.out.arguments(text)
            self.arguments_complete = True
        return True
