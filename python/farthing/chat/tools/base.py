"""What a format of tool calls is, and what all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from farthing.chat.output import MakeId, Output, call_id
from farthing.chat.reader import Markers, Reader, Steps
from farthing.chat.reasoning.base import ReasoningFormat
from farthing.chat.tools.parts import Json, Part

_ANY = "\ue000"
"""In the place of a name, where it is to be cut."""
NUMBER = "\ue001"
"""In the place of a call's number in a frame."""


@dataclass(frozen=True)
class ToolSet:
    """The tools of a request, as a parser needs them."""

    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name -> JSON schema of its parameters."""
    strict: frozenset[str] = frozenset()
    """The tools that say `"strict": True`."""

    @classmethod
    def of(cls, tools: Sequence[Mapping[str, Any]] | None) -> ToolSet:
        """The tools of OpenAI's `tools`."""
        functions = [tool.get("function", tool) for tool in tools or ()]
        named = [function for function in functions if "name" in function]
        return cls(
            {function["name"]: function.get("parameters") or {} for function in named},
            frozenset(function["name"] for function in named if function.get("strict") is True),
        )

    def knows(self, name: str) -> bool:
        """Whether there is such a tool; any may be where none is known."""
        return name in self.schemas if self.schemas else bool(name)

    def wants_text(self, name: str, key: str) -> bool | None:
        """Whether an argument is a string; None when the schema does not decide."""
        properties = self.schemas.get(name, {}).get("properties")
        schema = properties.get(key) if isinstance(properties, Mapping) else None
        kind = schema.get("type") if isinstance(schema, Mapping) else None
        if isinstance(kind, str):
            return kind == "string"
        if isinstance(kind, list) and "string" not in kind:
            return False
        return None


@dataclass(frozen=True)
class Plan:
    """What to look for in the text of one message."""

    reasoning: ReasoningFormat | None = None
    opened: bool = False
    """Whether the prompt ends with the beginning of reasoning."""
    tools: ToolSet | None = None
    """None when calls are to be left in the content."""


@dataclass(frozen=True)
class Frame:
    """What stands around the arguments of a call; for constrained output.

    The text of calls is `section_begin`, then `begin arguments end` for each call with `separator`
    between them, then `section_end`. Where calls are numbered, `begin` has NUMBER.
    """

    begin: str
    end: str
    section_begin: str = ""
    section_end: str = ""
    separator: str = ""


@dataclass(frozen=True)
class Start:
    """How an answer goes over to a call of some tool, for grammars to begin there."""

    trigger: str
    """The text that tells; special tokens count by their texts."""
    rest: str
    """What follows it, up to the arguments."""
    first: bool = False
    """Whether it counts only where nothing but white space is before it."""
    alone: str | None = None
    """What ends the call if there can be only one, in the place of all that ends calls else."""


@dataclass(frozen=True, kw_only=True)
class ToolFormat(ABC):
    """How a family of models writes tool calls; one instance in a file of this folder each.

    A subclass says in `body` how one call is read; what is around it is here. `frame`, `arguments`
    and `starts` are what a grammar needs to make a model write such calls.
    """

    name: str
    """By which it can be asked for."""
    signs: tuple[str, ...]
    """A chat template with all of these uses this format."""
    section: tuple[str, str] = ("", "")
    """Stands around all calls of a message; empty if nothing does."""
    call: tuple[str, str]
    """Stands around a call."""
    separator: str = ""
    """Stands between calls, with or without white space."""
    aliases: tuple[str, ...] = ()
    """What some models write for the beginning of a call."""
    special: tuple[str, ...] = ()
    """Further texts within calls that may be special tokens."""
    ends_reasoning: bool = False
    """Whether models begin to call without having ended their reasoning."""
    new_id: MakeId = call_id
    """Makes ids for calls that come without."""
    always: bool = False
    """Whether the text needs this parser even if there are no tools."""
    number: str = "[0-9]{1,3}"
    """What calls may be numbered with, where they are: a regular expression that allows 0."""
    first_number: str = "0"
    """The number of the first call."""
    gaps: str = r"\n+"
    """Where in texts around calls and names white space may be more or less; nothing if nowhere."""
    content_marker: str = ""
    """The text after which the answer begins, if it is not bare."""

    @property
    def triggers(self) -> tuple[str, ...]:
        """The texts at which calls begin."""
        return tuple(filter(None, map(str.strip, (self.section[0], self.call[0], *self.aliases))))

    @property
    def markers(self) -> tuple[str, ...]:
        """All texts that may be special tokens, and must not be left out of the parsed text."""
        return (*filter(None, (*self.section, *self.call)), *self.aliases, *self.special)

    def matches(self, template: str) -> bool:
        """Whether a chat template's source has this format's signs."""
        return bool(self.signs) and all(sign in template for sign in self.signs)

    @abstractmethod
    def frame(self, name: str) -> Frame:
        """The text around the arguments of a call, and around all calls."""

    def arguments(self, schema: Mapping[str, Any]) -> Sequence[Part]:
        """What stands between a frame's texts, by the schema of a tool's parameters.

        Raises RequestError for what the format cannot write.
        """
        return (Json({"type": "object", **schema}),)

    def starts(self, name: str) -> Sequence[Start]:
        """How an answer may go over to a call of this tool."""
        frame = self.frame(name)
        begin = (frame.section_begin + frame.begin).lstrip()
        trigger = (self.section[0] or self.call[0]).strip()
        starts = [Start(trigger, begin.removeprefix(trigger))] if trigger else []
        for alias in self.aliases:
            _, found, rest = begin.partition(alias)
            starts.append(Start(alias, rest if found else begin.removeprefix(trigger)))
        return starts

    def opening(self, name: str | None) -> str:
        """How an answer begins that calls this tool, or any tool."""
        frame = self.frame(name or _ANY)
        begin = (frame.section_begin + frame.begin).partition(_ANY)[0]
        return begin.replace(NUMBER, self.first_number)

    @abstractmethod
    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read what is between the texts of `call`; False if no call could be begun."""

    def is_of_body(self, trigger: str) -> bool:
        """Whether a trigger is what `body` reads first."""
        return False

    def begin_content(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Called where content begins: True if it read calls that have no trigger."""
        return False
        yield  # makes it a generator, as overriding methods are

    def message(self, reader: Reader, out: Output, plan: Plan) -> Steps[None]:
        """Read a whole message: reasoning, content and calls."""
        triggers = self.triggers if plan.tools is not None else ()
        wrappers = plan.reasoning.wrappers if plan.reasoning is not None else ()
        markers = Markers((*triggers, *wrappers))
        breaks = triggers if self.ends_reasoning else ()
        opened = plan.opened
        while True:
            trigger: str | None = None
            if plan.reasoning is not None:
                trigger = yield from plan.reasoning.read(reader, out, opened, breaks)
                opened = False
            if trigger is None:
                reader.mark()
                if plan.tools is not None and (
                    yield from self.begin_content(reader, out, plan.tools)
                ):
                    continue
                trigger = yield from reader.until(markers, out.content)
            if trigger is None:
                return
            if plan.tools is not None and trigger in triggers:
                yield from self._calls(reader, out, plan.tools, trigger)

    def _calls(self, reader: Reader, out: Output, tools: ToolSet, trigger: str) -> Steps[None]:
        """Read the calls after a trigger; what is none becomes content."""
        reader.mark(trigger)
        if self.is_of_body(trigger):
            reader.put_back(trigger)
        begun = trigger != self.section[0].strip() or (yield from self._read(reader, self.call[0]))
        while begun:
            if not (yield from self.body(reader, out, tools)):
                break
            yield from self._read(reader, self.call[1])
            reader.mark()
            yield from self._read(reader, self.separator)
            if (yield from self._read(reader, self.section[1])):
                return
            begun = yield from self._read(reader, self.call[0])
        out.content(reader.since_mark())

    @property
    def ends(self) -> tuple[str, ...]:
        """What may come where a call's arguments are over."""
        return (*_lines(self.call[1])[:1], *_lines(self.section[1])[:1])

    def _read(self, reader: Reader, text: str) -> Steps[bool]:
        """Read the lines of a text with any white space around them; False if none is next."""
        found = False
        for line in _lines(text):
            yield from reader.space()
            found = (yield from reader.literal(line)) is not None or found
        return found


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
