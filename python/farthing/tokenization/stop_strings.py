"""Stop strings over text that arrives in pieces."""

from __future__ import annotations

from collections.abc import Iterable


class StopStrings:
    """Passes text on up to the first stop string, wherever the pieces were cut.

    The match that starts first wins; of two that start together, the shorter. Text that may still
    become part of a match is held back until that is decided.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        """Empty stop strings are ignored."""
        self._stops = sorted({stop for stop in stops if stop}, key=len)
        self._held = ""
        self._hit: str | None = None

    def push(self, text: str) -> tuple[str, str | None]:
        """Text that can be shown now, and the stop string that was met, if any.

        After a hit nothing more is shown.
        """
        if self._hit is not None:
            return "", self._hit
        self._held += text
        return self._settle(self._undecided())

    def flush(self) -> tuple[str, str | None]:
        """The same at the end of the text, where nothing is undecided any more."""
        if self._hit is not None:
            return "", self._hit
        return self._settle(len(self._held))

    def _settle(self, undecided: int) -> tuple[str, str | None]:
        matches = ((self._held.find(stop), stop) for stop in self._stops)
        start, stop = min(
            ((start, stop) for start, stop in matches if start >= 0),
            key=lambda match: match[0],
            default=(len(self._held), None),
        )
        if stop is not None and start <= undecided:
            self._hit = stop
            shown, self._held = self._held[:start], ""
        else:
            shown, self._held = self._held[:undecided], self._held[undecided:]
        return shown, self._hit

    def _undecided(self) -> int:
        """Where the longest end of the held text starts that is the beginning of a stop string."""
        held = self._held
        longest = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(held)), longest, -1):
                if held.endswith(stop[:length]):
                    longest = length
                    break
        return len(held) - longest
