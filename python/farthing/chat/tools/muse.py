"""Muse: messages with recipients; those to tools hold invocations with named parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Emit, Markers, Reader, Steps
from farthing.chat.tools.base import Frame, Plan, Start, ToolSet
from farthing.chat.tools.tagged_calls import TaggedCalls

_MESSAGE = "<|message|>"
_ENDS = ("<|eom|>", "<|eot|>", "<|start|>")
_LONGEST_HEADER = 300


@dataclass(frozen=True, kw_only=True)
class Recipients(TaggedCalls):
    """`to=self` is reasoning; the prompt ends before the recipient."""

    def frame(self, name: str) -> Frame:
        """Each call is a message of its own."""
        begin = f" to={name}{_MESSAGE}{self.section[0]}{self.call[0]}{name}{self.name_tag[1]}"
        end = self.call[1] + self.section[1]
        return Frame(begin, end, separator="<|eom|><|start|>assistant")

    def starts(self, name: str) -> Sequence[Start]:
        """The recipient tells that it is a call; the first is behind the prompt's end."""
        to, rest = f" to={name}{_MESSAGE}", self.frame(name).begin.partition(_MESSAGE)[2]
        return Start(to, rest, first=True), Start(f"<|start|>assistant{to}", rest)

    def message(self, reader: Reader, out: Output, plan: Plan) -> Steps[None]:
        """Read messages to the end."""
        markers = Markers((*_ENDS, *self.triggers))
        met: str | None = "<|start|>"
        while met is not None:
            emit: Emit = out.content
            if met == "<|start|>":
                reader.mark()
                header: list[str] = []
                found = yield from reader.until(
                    Markers((_MESSAGE,)), header.append, longest=_LONGEST_HEADER
                )
                if found is None:
                    out.content(reader.since_mark())
                elif "to=self" in "".join(header):
                    out.begin_reasoning()
                    emit = out.reasoning
            elif met in self.triggers:
                yield from self._calls(reader, out, plan.tools or ToolSet(), met)
            met = yield from reader.until(markers, emit)


FORMAT = Recipients(
    name="muse",
    signs=("<atem:function_calls>", "<atem:invoke name="),
    section=("<atem:function_calls>\n", "\n</atem:function_calls>"),
    call=('<atem:invoke name="', "\n</atem:invoke>"),
    name_tag=("", '">'),
    key_tag=('\n<atem:parameter name="', '">'),
    value_tag=("", "</atem:parameter>"),
    special=(_MESSAGE, *_ENDS),
    always=True,
)
