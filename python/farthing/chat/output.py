"""What a parser finds in generated text: events, trimmed and numbered."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from farthing.types import FunctionCall, ToolCall


@dataclass(frozen=True, slots=True)
class Content:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of the thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    """A tool call begins; calls are numbered from 0."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of a call's arguments, which are JSON text."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """A tool call is over; `complete` if its arguments are a valid JSON object."""

    index: int
    complete: bool


Event: TypeAlias = Content | Reasoning | CallStart | CallArguments | CallEnd

MakeId: TypeAlias = Callable[[], str]


def call_id() -> str:
    """A new id for a tool call, in OpenAI's form."""
    return "call_" + short_id(24)


def short_id(length: int = 9) -> str:
    """A new id of letters and digits; some templates accept only nine of them."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


class Output:
    """Takes what a parser reads and makes events of it.

    White space around reasoning is dropped, and so is that of the content before and after
    reasoning and calls; other white space is only held back until text follows.
    """

    def __init__(self, new_id: MakeId = call_id) -> None:
        self._new_id = new_id
        self._events: list[Event] = []
        self._content = _Trimmed(leading=False)
        self._reasoning = _Trimmed(leading=True)
        self._calls: list[_Call] = []

    def content(self, text: str) -> None:
        """More of the answer."""
        if shown := self._content.push(text):
            self._events.append(Content(shown))

    def reasoning(self, text: str) -> None:
        """More of the thinking."""
        if shown := self._reasoning.push(text):
            self._events.append(Reasoning(shown))

    def begin_reasoning(self) -> None:
        """Thinking begins, perhaps not for the first time."""
        self._content.gap()
        self._reasoning.gap()

    def start(self, name: str, call_id: str | None = None) -> None:
        """A call begins; without an id it gets one."""
        self._content.gap()
        call = _Call(len(self._calls), call_id or self._new_id(), name)
        self._calls.append(call)
        self._events.append(CallStart(call.index, call.id, name))

    def arguments(self, text: str) -> None:
        """More of the arguments of the call begun last."""
        if text:
            call = self._calls[-1]
            call.arguments.append(text)
            self._events.append(CallArguments(call.index, text))

    def end(self, well_formed: bool = True) -> None:
        """The call begun last is over; one without arguments gets an empty object."""
        call = self._calls[-1]
        if well_formed and not call.arguments:
            self.arguments("{}")
        call.complete = well_formed and _is_object("".join(call.arguments))
        self._events.append(CallEnd(call.index, call.complete))

    def call(self, name: str, arguments: str) -> None:
        """A whole call."""
        self.start(name)
        self.arguments(arguments)
        self.end()

    def finish(self) -> None:
        """The text is over: what is held back of the content is content."""
        if rest := self._content.finish():
            self._events.append(Content(rest))

    def take(self) -> list[Event]:
        """The events since the last time."""
        events, self._events = self._events, []
        return events

    def content_text(self) -> str:
        """All content so far."""
        return self._content.text()

    def reasoning_text(self) -> str:
        """All reasoning so far."""
        return self._reasoning.text()

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """All calls so far, one that goes on among them."""
        return tuple(
            ToolCall(call.id, FunctionCall(call.name, "".join(call.arguments)), call.complete)
            for call in self._calls
        )


@dataclass
class _Call:
    index: int
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)
    complete: bool = False


class _Trimmed:
    """Text without white space at its gaps; the parts are separated by a newline."""

    def __init__(self, *, leading: bool) -> None:
        """`leading`: white space at the beginning is dropped too."""
        self._shown: list[str] = []
        self._space = ""
        self._after_gap = leading

    def push(self, text: str) -> str:
        """What can be shown now."""
        text = self._space + text
        if self._after_gap:
            text = text.lstrip()
        shown = text.rstrip()
        self._space = text[len(shown) :]
        if shown:
            if self._after_gap and self._shown:
                shown = "\n" + shown
            self._after_gap = False
            self._shown.append(shown)
        return shown

    def gap(self) -> None:
        """Something else comes here."""
        self._space = ""
        self._after_gap = True

    def finish(self) -> str:
        """White space at the end, which belongs to the text."""
        rest, self._space = self._space, ""
        if rest:
            self._shown.append(rest)
        return rest

    def text(self) -> str:
        return "".join(self._shown)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False
