"""Generated text that arrives in pieces, for parsers written as if all of it were there.

A parser is a generator: `yield from reader.until(...)` suspends it where the text so far ends, and
the next piece resumes it. So a format is written once, and how the text was cut can make no
difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]
"""A part of a parser: yields where more text is needed, returns what it has read."""

Emit: TypeAlias = Callable[[str], None]
"""Takes text as soon as it is certain."""

_CLOSES = {"{": "}", "[": "]"}
_BARE = frozenset("0123456789+-.:, \t\r\n" + "eEtrufalsn")
"""What JSON may hold outside of strings and brackets; anything else ends a value in error."""


class Markers:
    """Texts to look for."""

    def __init__(self, markers: Iterable[str]) -> None:
        """Empty ones are ignored."""
        self._markers = sorted({marker for marker in markers if marker}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._markers)) or r"(?!)")
        self._firsts = frozenset(marker[0] for marker in self._markers)
        self._longest = len(self._markers[0]) if self._markers else 0

    def find(self, text: str, ended: bool) -> tuple[int, str | None]:
        """Where the first marker starts, and which; None where one may begin, or at the end.

        The match that starts first wins; of two that start together, the longer.
        """
        match = self._pattern.search(text)
        start = match.start() if match else len(text)
        if not ended:
            undecided = self._undecided(text)
            if undecided <= start:
                return undecided, None
        return start, match.group() if match else None

    def _undecided(self, text: str) -> int:
        """Where the longest end of the text starts that is the beginning of a longer marker."""
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[start] in self._firsts:
                rest = text[start:]
                if any(len(m) > len(rest) and m.startswith(rest) for m in self._markers):
                    return start
        return len(text)


class Reader:
    """The text not read yet."""

    def __init__(self) -> None:
        self._text = ""
        self._ended = False
        self._kept: list[str] = []

    def feed(self, text: str) -> None:
        """Add what has arrived."""
        self._text += text

    def end(self) -> None:
        """Nothing more will arrive."""
        self._ended = True

    def mark(self, passed: str = "") -> None:
        """From here on remember what is read, for `since_mark`; `passed` was just before."""
        self._kept = [passed]

    def since_mark(self) -> str:
        """What was read since `mark`."""
        return "".join(self._kept)

    def put_back(self, text: str) -> None:
        """Unread what was read last."""
        self._text = text + self._text
        self._kept = [self.since_mark().removesuffix(text)]

    def until(self, markers: Markers, emit: Emit, longest: int | None = None) -> Steps[str | None]:
        """Pass on text up to the first marker, read that too and return it.

        None at the end of the text, or after `longest` characters without a marker.
        """
        passed = 0
        while True:
            start, marker = markers.find(self._text, self._ended)
            if longest is not None and passed + start > longest:
                emit(self._take(longest - passed))
                return None
            if start:
                emit(self._take(start))
                passed += start
            if marker is not None:
                return self._take(len(marker))
            if self._ended:
                return None
            yield

    def text_until(self, markers: Markers) -> Steps[tuple[str, str | None]]:
        """The text up to the first marker, and the marker, which is read too; None at the end."""
        parts: list[str] = []
        marker = yield from self.until(markers, parts.append)
        return "".join(parts), marker

    def peek(self) -> Steps[str]:
        """The next character, not read yet; empty at the end."""
        while not self._text and not self._ended:
            yield
        return self._text[:1]

    def peek_past_space(self) -> Steps[str]:
        """The first character that is no white space, neither read yet; empty at the end."""
        while True:
            rest = self._text.lstrip()
            if rest or self._ended:
                return rest[:1]
            yield

    def space(self) -> Steps[str]:
        """Read white space, and return it."""
        parts: list[str] = []
        while (yield from self.peek()).isspace():
            parts.append(self._take(len(self._text) - len(self._text.lstrip())))
        return "".join(parts)

    def literal(self, *choices: str) -> Steps[str | None]:
        """Read one of these texts if it is next, and return it; the first that fits counts."""
        while True:
            found = next((c for c in choices if self._text.startswith(c)), None)
            if found is not None:
                return self._take(len(found))
            if self._ended or not any(c.startswith(self._text) for c in choices):
                return None
            yield

    def json_value(self, emit: Emit) -> Steps[bool]:
        """Pass on one JSON value as it is written, after any white space.

        False when there is none, the text ends within it or brackets do not match. What is
        returned as True may still be invalid: only strings and brackets are looked at.
        """
        yield from self.space()
        first = yield from self.peek()
        if not first or first not in '{["':
            return (yield from self._json_bare(emit))
        closers: list[str] = []
        in_string = escaped = False
        while True:
            for place, char in enumerate(self._text):
                if escaped:
                    escaped = False
                elif in_string:
                    escaped = char == "\\"
                    in_string = char != '"'
                elif char == '"':
                    in_string = True
                elif char in _CLOSES:
                    closers.append(_CLOSES[char])
                elif closers and char == closers[-1]:
                    closers.pop()
                elif char not in _BARE:
                    emit(self._take(place))
                    return False
                if not closers and not in_string:
                    emit(self._take(place + 1))
                    return True
            emit(self._take(len(self._text)))
            if self._ended:
                return False
            yield

    def json_text(self) -> Steps[str | None]:
        """One JSON value as it is written; None as in `json_value`."""
        parts: list[str] = []
        complete = yield from self.json_value(parts.append)
        return "".join(parts) if complete else None

    def json_string(self) -> Steps[str | None]:
        """The value of a JSON string; None when something else comes."""
        if (yield from self.peek()) != '"':
            return None
        text = yield from self.json_text()
        try:
            value = json.loads(text or "null", strict=False)
        except ValueError:
            return None
        return value if isinstance(value, str) else None

    def rest(self, emit: Emit) -> Steps[None]:
        """Pass on everything to the end."""
        yield from self.until(Markers(()), emit)

    def _json_bare(self, emit: Emit) -> Steps[bool]:
        """A number or a word."""
        read = 0
        while True:
            char = yield from self.peek()
            if not char or char not in _BARE or char in ",: \t\r\n":
                return read > 0
            emit(self._take(1))
            read += 1

    def _take(self, length: int) -> str:
        taken, self._text = self._text[:length], self._text[length:]
        self._kept.append(taken)
        return taken
