"""Gemma 4: objects with bare keys and a special token for quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Markers, Reader, Steps
from farthing.chat.tools.base import ToolFormat, ToolSet


@dataclass(frozen=True, kw_only=True)
class GemmaCalls(ToolFormat):
    """`call:name{key:<quote>text<quote>,other:[1,true]}`, known once all of it is there."""

    quote: str
    """Stands before and after a string."""

    def frame(self, name: str) -> None:
        """Arguments are no JSON."""
        return

    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read one call."""
        text, _ = yield from reader.text_until(Markers((self.call[1],)))
        match = re.fullmatch(r"\s*call:([\w.:-]+)(\{.*\})\s*", text, re.DOTALL)
        if match is None:
            return False
        arguments = "".join(self._json(match[2]))
        try:
            json.loads(arguments)
        except (ValueError, RecursionError):
            return False
        out.call(match[1], arguments)
        return True

    def _json(self, text: str) -> Iterator[str]:
        """The object as JSON: strings lie between quotes, keys are words before colons."""
        for place, part in enumerate(text.split(self.quote)):
            if place % 2:
                yield json.dumps(part, ensure_ascii=False)
            else:
                yield re.sub(r'([{,]\s*)([^\s{}\[\],:"][^{}\[\],:"]*?)\s*:', r'\1"\2": ', part)


FORMAT = GemmaCalls(
    name="gemma4",
    signs=("<|tool_call>", "<tool_call|>"),
    call=("<|tool_call>", "<tool_call|>"),
    quote='<|"|>',
    special=('<|"|>',),
)
