"""An assistant's message as it is generated, for loops of both kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

from farthing.api.stream import AsyncPieces, Deltas, Stream
from farthing.types import ChatDelta, TokenLogprob


class ChatStream(Stream[ChatDelta]):
    """A stream of an answer: by itself its content, by `deltas()` all of it.

    Iterating gives pieces of the content, which join to exactly `result.text`; reasoning and tool
    calls are in `deltas()` and in the result. Everything else is as in `TokenStream`.
    """

    def __iter__(self) -> Iterator[str]:
        return (delta.content for delta in self._pieces() if delta.content)

    def __aiter__(self) -> AsyncIterator[str]:
        return AsyncPieces(self, lambda delta: delta.content or None)

    def deltas(self) -> Deltas[ChatDelta, ChatDelta]:
        """Pieces of the message: content, reasoning and tool calls. Replaces iteration."""
        return Deltas(self, _with_tokens)


def _with_tokens(
    delta: ChatDelta | None, tokens: tuple[int, ...], logprobs: tuple[TokenLogprob, ...] | None
) -> ChatDelta | None:
    # A delta without a message is for those alone who count tokens.
    if delta is None and logprobs is None:
        return None
    return replace(delta or ChatDelta(), tokens=tokens, logprobs=logprobs)
