"""Llama 4 and others: a bare list of Python calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Reader, Steps
from farthing.chat.tools.base import Start, ToolSet
from farthing.chat.tools.python_calls import PythonCalls


@dataclass(frozen=True, kw_only=True)
class BareCalls(PythonCalls):
    """A list where content would begin, if it calls tools of the request; or between tokens."""

    def starts(self, name: str) -> Sequence[Start]:
        """A list may begin where the answer does."""
        return [*super().starts(name), Start(f"[{name}(", "", first=True)]

    def begin_content(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read a list that is all of the message."""
        space = yield from reader.space()
        if not (yield from reader.literal("[")):
            out.content(space)
            return False
        name = yield from self._name(reader)
        if (yield from reader.peek()) != "(" or not tools.knows(name):
            out.content(space + "[" + name)
            return False
        parts = ["[", name]
        yield from reader.rest(parts.append)
        if not self.read("".join(parts).rstrip().removesuffix(self.call[1]), out, tools):
            out.content(space + "".join(parts))
        return True

    def _name(self, reader: Reader) -> Steps[str]:
        name = ""
        while (char := (yield from reader.peek())).isalnum() or char in ("_", ".", "-"):
            name += (yield from reader.literal(char)) or ""
        return name


FORMAT = BareCalls(
    name="pythonic",
    signs=("<|python_start|>",),
    call=("<|python_start|>", "<|python_end|>"),
    known_only=True,
)
