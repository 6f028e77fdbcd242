"""Reads a message as it is generated."""

from __future__ import annotations

from farthing.chat.output import Event, MakeId, Output
from farthing.chat.reader import Reader
from farthing.chat.tools.base import Plan, ToolFormat


class OutputParser:
    """Text in pieces of any size in, events out; how the text was cut makes no difference.

    Neighbouring events of one kind may come in one or in several.
    """

    def __init__(self, form: ToolFormat, plan: Plan, new_id: MakeId | None = None) -> None:
        """`new_id` makes ids for tool calls, by default in the format's own way."""
        self.output = Output(new_id or form.new_id)
        self._reader = Reader()
        self._steps = form.message(self._reader, self.output, plan)
        self._ended = False
        self._advance()

    def begin(self, text: str) -> None:
        """Read what the prompt says already; its events come with those of the next text."""
        self._reader.feed(text)
        self._advance()

    def push(self, text: str) -> list[Event]:
        """The events that became certain with this text."""
        self._reader.feed(text)
        self._advance()
        return self.output.take()

    def finish(self) -> list[Event]:
        """The events that are left when no more text comes; a call that is not over ends here."""
        self._reader.end()
        self._advance()
        self.output.finish()
        return self.output.take()

    def _advance(self) -> None:
        if not self._ended:
            self._ended = next(self._steps, True) is True
