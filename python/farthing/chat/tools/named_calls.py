"""Calls that are a name and then the arguments as a JSON object."""

from __future__ import annotations

import re
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Markers, Reader, Steps
from farthing.chat.tools.base import Frame, ToolFormat, ToolSet

_LONGEST_HEAD = 400
"""Characters; a longer text without an object is no call."""


@dataclass(frozen=True, kw_only=True)
class NamedCalls(ToolFormat):
    """A name, perhaps with an id, and `{...}`."""

    head: str
    """What a model writes between the beginning of a call and the object, with `{name}`."""
    pattern: str = r"\s*(?P<name>[\w.-]+)\s*"
    """What is understood as a head; the groups are `name` and, if there is one, `id`."""

    def frame(self, name: str) -> Frame:
        """The head ends right before the object."""
        begin = self.call[0] + self.head.replace("{name}", name)
        return Frame(begin, self.call[1], *self.section, self.separator)

    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read the head up to the object, and the object."""
        parts: list[str] = []
        ends = Markers(("{", *self.ends))
        met = yield from reader.until(ends, parts.append, longest=_LONGEST_HEAD)
        match = re.fullmatch(self.pattern, "".join(parts))
        if met is None or match is None:
            return False
        groups = match.groupdict()
        out.start(groups["name"], groups.get("id"))
        reader.put_back(met)
        out.end(met != "{" or (yield from reader.json_value(out.arguments)))
        return True
