"""Apertus: an array of objects whose only key is the name."""

from __future__ import annotations

import json
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Reader, Steps
from farthing.chat.tools.base import Frame, ToolFormat, ToolSet


@dataclass(frozen=True, kw_only=True)
class KeyedCalls(ToolFormat):
    """`[{"name": {...}}, ...]`"""

    gaps: str = r'\n+|(?<=[{\[:,]) ?(?=["{]|$)'

    def frame(self, name: str) -> Frame:
        """Arguments are the only value of the object."""
        begin = f"{{{json.dumps(name, ensure_ascii=False)}: "
        return Frame(begin, "}", f"{self.call[0]}[", f"]{self.call[1]}", ", ")

    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read the array."""
        if not (yield from self._read(reader, "[")):
            return False
        found = False
        while (yield from self._read(reader, "{")):
            yield from reader.space()
            name = yield from reader.json_string()
            if not name or not (yield from self._read(reader, ":")):
                break
            found = True
            out.start(name)
            out.end((yield from reader.json_value(out.arguments)))
            reader.mark()
            yield from self._read(reader, "}\n,")
        yield from self._read(reader, "]")
        return found


FORMAT = KeyedCalls(
    name="apertus",
    signs=("<|tools_prefix|>", "<|tools_suffix|>"),
    call=("<|tools_prefix|>", "<|tools_suffix|>"),
)
