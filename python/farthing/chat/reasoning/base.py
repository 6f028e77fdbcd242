"""What a format of reasoning is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Markers, Reader, Steps


@dataclass(frozen=True, kw_only=True)
class ReasoningFormat:
    """How a family of models sets its thinking apart; each an instance in a file here."""

    name: str
    """By which it can be asked for."""
    begin: str
    """Begins it, where content would begin."""
    end: str
    """Ends it."""
    signs: tuple[str, ...] = ()
    """A chat template with all of these uses this format; by default `begin` and `end`."""
    wrappers: tuple[str, ...] = ()
    """Stand around the answer and are no part of it."""

    @property
    def markers(self) -> tuple[str, ...]:
        """All texts that may be special tokens, and must not be left out of the parsed text."""
        return (self.begin, self.end, *self.wrappers)

    def matches(self, template: str) -> bool:
        """Whether a chat template's source has this format's signs."""
        return all(sign in template for sign in self.signs or (self.begin, self.end))

    def opened_by(self, prompt: str) -> bool:
        """Whether a prompt ends with the beginning of reasoning."""
        return prompt.rstrip().endswith(self.begin.rstrip())

    def closed_by(self, prompt: str) -> bool:
        """Whether a prompt ends with the end of reasoning, so that none comes."""
        return prompt.rstrip().endswith(self.end.rstrip())

    def read(
        self, reader: Reader, out: Output, opened: bool, breaks: Sequence[str] = ()
    ) -> Steps[str | None]:
        """Read reasoning if it comes here, or is `opened` already.

        One of `breaks` ends it too, and is returned.
        """
        if not opened:
            space = yield from reader.space()
            if (yield from reader.literal(self.begin.rstrip())) is None:
                out.content(space)
                return None
        out.begin_reasoning()
        ends = Markers((self.end, *breaks))
        met = yield from reader.until(ends, out.reasoning)
        return met if met in breaks else None
