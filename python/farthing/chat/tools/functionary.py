"""Functionary 3.2: recipients on lines of their own; `all` is the user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Markers, Reader, Steps
from farthing.chat.tools.base import Plan, Start
from farthing.chat.tools.named_calls import NamedCalls

_MARK = ">>>"
_LINE = Markers(("\n",))
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class Recipients(NamedCalls):
    """`>>>name`, a newline and what goes there; the prompt ends with the first `>>>`."""

    gaps: str = ""

    def starts(self, name: str) -> Sequence[Start]:
        """A recipient's line; the text before the first one is in the prompt."""
        return Start(f"{name}\n", "", first=True), Start(f"{_MARK}{name}\n", "")

    def message(self, reader: Reader, out: Output, plan: Plan) -> Steps[None]:
        """Read parts to the end."""
        marks = Markers((_MARK,))
        met: str | None = ""
        while met is not None:
            reader.mark(met)
            yield from reader.literal(_MARK)
            name: list[str] = []
            line = yield from reader.until(_LINE, name.append, longest=_LONGEST_NAME)
            recipient = "".join(name).strip()
            if line is None or not re.fullmatch(r"[\w.-]+", recipient):
                out.content(reader.since_mark())
            elif recipient != "all":
                out.start(recipient)
                out.end((yield from reader.json_value(out.arguments)))
            met = yield from reader.until(marks, out.content)


FORMAT = Recipients(
    name="functionary",
    signs=(">>>all", ">>>"),
    call=(_MARK, "\n"),
    head="{name}\n",
    always=True,
    content_marker="all\n",
)
