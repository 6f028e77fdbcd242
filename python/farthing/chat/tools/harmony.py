"""gpt-oss: messages with channels and recipients (OpenAI's harmony format)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Emit, Markers, Reader, Steps
from farthing.chat.tools.base import Plan, Start
from farthing.chat.tools.named_calls import NamedCalls

_ENDS = Markers(("<|start|>", "<|channel|>", "<|end|>", "<|call|>", "<|return|>"))
_BODY = Markers(("<|message|>",))
_LONGEST_HEADER = 300
_TO = " to=functions."
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w.-]+)")


@dataclass(frozen=True, kw_only=True)
class Channels(NamedCalls):
    """`<|channel|>analysis` is reasoning, a recipient makes a call, the rest is content."""

    def starts(self, name: str) -> Sequence[Start]:
        """Every message begins with the text of `call`: the recipient tells, wherever it stands."""
        inner = self.frame(name).begin.partition(_TO)[2]
        before = f"{name}<|channel|>commentary <|constrain|>json<|message|>"
        return (
            *(Start(f"<|channel|>{channel}{_TO}", inner) for channel in ("commentary", "analysis")),
            Start(f"<|start|>assistant{_TO}", before),
            Start(_TO, before, first=True),
        )

    def message(self, reader: Reader, out: Output, plan: Plan) -> Steps[None]:
        """Read messages to the end."""
        met: str | None = ""
        while met is not None:
            if met in ("<|start|>", "<|channel|>") or (yield from self._header_comes(reader)):
                reader.mark(met)
                header: list[str] = []
                body = yield from reader.until(_BODY, header.append, longest=_LONGEST_HEADER)
                if body is None:
                    out.content(reader.since_mark())
                met = yield from self._body(reader, out, met + "".join(header))
            else:
                met = yield from reader.until(_ENDS, out.content)

    def _body(self, reader: Reader, out: Output, header: str) -> Steps[str | None]:
        emit: Emit = out.content
        if recipient := _RECIPIENT.search(header):
            out.start(recipient[1])
            out.end((yield from reader.json_value(out.arguments)))
        elif "analysis" in header:
            out.begin_reasoning()
            emit = out.reasoning
        return (yield from reader.until(_ENDS, emit))

    def _header_comes(self, reader: Reader) -> Steps[bool]:
        return (yield from reader.peek()) in ("<", " ")


FORMAT = Channels(
    name="harmony",
    signs=("<|channel|>", "<|message|>", "<|start|>assistant"),
    call=("<|start|>assistant", "<|call|>"),
    head="<|channel|>commentary" + _TO + "{name} <|constrain|>json<|message|>",
    special=("<|channel|>", "<|constrain|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>"),
    always=True,
    content_marker="<|channel|>final<|message|>",
)
