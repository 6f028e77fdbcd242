"""The text of a generation that goes on: characters completed, stop strings found."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from farthing.tokenization import StopStrings

if TYPE_CHECKING:
    from farthing.tokenization import Tokenizer
    from farthing.types import ToolCall


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a completion says, apart from tokens and numbers."""

    text: str = ""
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


class NoText:
    """For a model without a vocabulary: an empty piece for each token."""

    stopped = False

    def push(self, token_id: int) -> str:
        return ""

    def flush(self) -> None:
        return None

    def spoken(self) -> Spoken:
        return Spoken()

    def n_tokens_shown(self) -> None:
        return None


class TextSoFar:
    """The text shown for the tokens given.

    It may lag behind the tokens: an unfinished character and what may become a stop string are
    held back.
    """

    def __init__(
        self, tokenizer: Tokenizer, stop: Iterable[str], shown: Container[int] = frozenset()
    ) -> None:
        """`shown` are special tokens that are part of the text."""
        self._characters = tokenizer.detokenizer(shown=shown)
        self._stops = StopStrings(stop)
        self._decoded = 0
        """Characters decoded, shown or not."""
        self._starts: list[int] = []
        """Where in the decoded text each token's part begins."""
        self._shown: list[str] = []
        self._shown_length = 0
        self._n_tokens_shown = 0
        self.stopped = False
        """Whether a stop string was met; nothing more is shown then."""

    def push(self, token_id: int) -> str | None:
        """What can be shown now, if anything."""
        self._starts.append(self._decoded)
        text = self._characters.push(token_id)
        self._decoded += len(text)
        return self._show(self._stops.push(text)) or None

    def flush(self) -> str | None:
        """What is left to show when no more tokens come, if anything."""
        rest = self._characters.flush()
        self._decoded += len(rest)
        before = self._show(self._stops.push(rest))
        return before + self._show(self._stops.flush()) or None

    def spoken(self) -> Spoken:
        """Everything shown."""
        return Spoken("".join(self._shown))

    def n_tokens_shown(self) -> int:
        """How many tokens, counted from the first, have any part of their text in `text`.

        Tokens without text count if one behind them does, or if nothing is held back.
        """
        if self._shown_length == self._decoded:
            return len(self._starts)
        rest = islice(self._starts, self._n_tokens_shown, None)
        self._n_tokens_shown += sum(1 for start in rest if start < self._shown_length)
        return self._n_tokens_shown

    def _show(self, settled: tuple[str, str | None]) -> str:
        shown, hit = settled
        self.stopped = hit is not None
        if shown:
            self._shown.append(shown)
            self._shown_length += len(shown)
        return shown
