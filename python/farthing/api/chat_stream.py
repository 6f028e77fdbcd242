"""An assistant's message as it is generated, for loops of both kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from farthing.api.stream import AsyncPieces, Stream
from farthing.types import ChatDelta


class ChatStream(Stream[ChatDelta]):
    """A stream of an answer: by itself its content, by `deltas()` all of it.

    Iterating gives pieces of the content, which join to exactly `result.text`; reasoning and tool
    calls are in `deltas()` and in the result. Everything else is as in `TokenStream`.
    """

    def __iter__(self) -> Iterator[str]:
        return (delta.content for delta in self._pieces() if delta.content)

    def __aiter__(self) -> AsyncIterator[str]:
        return AsyncPieces(self, lambda delta: delta.content or None)

    def deltas(self) -> Deltas:
        """Pieces of the message: content, reasoning and tool calls. Replaces iteration."""
        return Deltas(self)


class Deltas:
    """The pieces of a chat's message, by `for` or by `async for`."""

    def __init__(self, stream: ChatStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[ChatDelta]:
        return self._stream._pieces()

    def __aiter__(self) -> AsyncIterator[ChatDelta]:
        return AsyncPieces(self._stream, lambda delta: delta)
