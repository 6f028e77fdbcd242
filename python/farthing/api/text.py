"""The text of a generation that goes on: characters completed, stop strings found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from farthing.tokenization import StopStrings

if TYPE_CHECKING:
    from farthing.tokenization import Tokenizer


class TextSoFar:
    """The text shown for the tokens given.

    It may lag behind the tokens: an unfinished character and what may become a stop string are
    held back.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Iterable[str]) -> None:
        self._characters = tokenizer.detokenizer()
        self._stops = StopStrings(stop)
        self._decoded = 0
        """Characters decoded, shown or not."""
        self._starts: list[int] = []
        """Where in the decoded text each token's part begins."""
        self._shown: list[str] = []
        self.stopped = False
        """Whether a stop string was met; nothing more is shown then."""

    def push(self, token_id: int) -> str:
        """What can be shown now."""
        self._starts.append(self._decoded)
        text = self._characters.push(token_id)
        self._decoded += len(text)
        return self._show(self._stops.push(text))

    def flush(self) -> str:
        """What is left to show when no more tokens come."""
        rest = self._characters.flush()
        self._decoded += len(rest)
        before = self._show(self._stops.push(rest))
        return before + self._show(self._stops.flush())

    def text(self) -> str:
        """Everything shown."""
        return "".join(self._shown)

    def n_tokens_shown(self) -> int:
        """How many tokens, counted from the first, have any part of their text in `text`.

        Tokens without text count if one behind them does, or if nothing is held back.
        """
        shown = sum(map(len, self._shown))
        if shown == self._decoded:
            return len(self._starts)
        return sum(1 for start in self._starts if start < shown)

    def _show(self, settled: tuple[str, str | None]) -> str:
        shown, hit = settled
        self.stopped = hit is not None
        if shown:
            self._shown.append(shown)
        return shown
