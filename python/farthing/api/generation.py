"""From what the engine puts out to pieces of text and a completion. Knows no event loop."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from farthing import _native
from farthing.api.text import Spoken
from farthing.types import (
    Completion,
    FinishReason,
    PromptTokensDetails,
    Timings,
    TokenLogprob,
    Usage,
)

if TYPE_CHECKING:
    from farthing.tokenization import Tokenizer


logger = logging.getLogger("farthing")

Piece = TypeVar("Piece")
Piece_co = TypeVar("Piece_co", covariant=True)


class Pieces(Protocol[Piece_co]):
    """Turns tokens into pieces."""

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met; there are no more pieces then."""

    def push(self, token_id: int) -> Piece_co | None:
        """The piece that became certain with this token, if any."""

    def flush(self) -> Piece_co | None:
        """What is left when no more tokens come, if anything."""

    def spoken(self) -> Spoken:
        """All of it."""

    def n_tokens_shown(self) -> int | None:
        """How many tokens have a part in it; None for all."""


class Generation(Generic[Piece]):
    """Turns outputs into pieces, one token at a time.

    The pieces handed out join to exactly what the completion says.
    """

    def __init__(
        self,
        n_prompt: int,
        tokenizer: Tokenizer | None,
        pieces: Pieces[Piece],
        *,
        logprobs: bool,
    ) -> None:
        self._n_prompt = n_prompt
        self._tokenizer = tokenizer
        self._pieces = pieces
        self._logprobs = logprobs
        self._pending: deque[_native.Token] = deque()
        self._tokens: list[_native.Token] = []
        self._n_given = 0
        self._clock = _Clock()
        self.finished: _native.Finished | None = None
        """The engine's last word; nothing more can be pushed."""

    def push(self, outputs: Iterable[_native.Token | _native.Finished]) -> None:
        """Add what the engine has put out."""
        for output in outputs:
            if isinstance(output, _native.Token):
                self._pending.append(output)
            else:
                self.finished = output
                if output.context_shifted:
                    logger.info(
                        "the context was full: %d tokens were thrown away", output.context_shifted
                    )

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met, so that the engine need not go on."""
        return self._pieces.stopped

    def next_piece(self) -> Piece | None:
        """The next piece; None when there is none in what was pushed so far."""
        while self._pending and not self.stopped:
            token = self._pending.popleft()
            self._tokens.append(token)
            self._clock.tick()
            if (piece := self._pieces.push(token.id)) is not None:
                return piece
        return self._pieces.flush() if self.finished is not None and not self.stopped else None

    def new_tokens(self) -> tuple[tuple[int, ...], tuple[TokenLogprob, ...] | None]:
        """The tokens that came to be handed out since the last call, and their log-probabilities.

        Asked after every piece and at the end, they are those of the completion.
        """
        new = self._tokens[self._n_given : self._pieces.n_tokens_shown()]
        self._n_given += len(new)
        logprobs = tuple(map(self._logprob, new)) if self._logprobs else None
        return tuple(token.id for token in new), logprobs

    def completion(self, *, cancelled: bool) -> Completion:
        """The result, as far as pieces were handed out; `cancelled` by the caller or complete."""
        spoken = self._pieces.spoken()
        kept = self._tokens[: self._pieces.n_tokens_shown()]
        timings = self._timings()
        return Completion(
            text=spoken.text,
            tokens=[token.id for token in kept],
            finish_reason="cancelled" if cancelled else self._finish_reason(spoken),
            usage=Usage(
                prompt_tokens=self._n_prompt,
                completion_tokens=len(self._tokens),
                prompt_tokens_details=PromptTokensDetails(cached_tokens=timings.cache_n),
            ),
            timings=timings,
            logprobs=[self._logprob(token) for token in kept] if self._logprobs else None,
            reasoning_content=spoken.reasoning_content,
            tool_calls=spoken.tool_calls,
            context_shifted=self.finished.context_shifted if self.finished else 0,
        )

    def _finish_reason(self, spoken: Spoken) -> FinishReason:
        if self.finished is None and not self.stopped:
            return "cancelled"
        reason = "stop" if self.stopped or self.finished is None else self.finished.reason
        called = any(call.complete for call in spoken.tool_calls)
        return "tool_calls" if called and reason == "stop" else reason

    def _timings(self) -> Timings:
        end = self.finished
        if end is None:
            return self._clock.timings(self._n_prompt, len(self._tokens))
        return Timings(
            cache_n=end.cached_n,
            prompt_n=end.prompt_n,
            prompt_ms=end.prompt_ms,
            predicted_n=end.predicted_n,
            predicted_ms=end.predicted_ms,
            draft_n=end.draft_n,
            draft_n_accepted=end.draft_n_accepted,
        )

    def _logprob(self, token: _native.Token) -> TokenLogprob:
        top = tuple(TokenLogprob(i, self._spelling(i), p) for i, p in token.top)
        logprob = token.logprob if token.logprob is not None else float("nan")
        return TokenLogprob(token.id, self._spelling(token.id), logprob, top)

    def _spelling(self, token_id: int) -> str:
        if self._tokenizer is None:
            return ""
        return self._tokenizer.token_bytes(token_id).decode("utf-8", "replace")


class _Clock:
    """When tokens were handed out."""

    def __init__(self) -> None:
        self._start = self._first = self._last = time.perf_counter()
        self._ticks = 0

    def tick(self) -> None:
        self._last = time.perf_counter()
        if self._ticks == 0:
            self._first = self._last
        self._ticks += 1

    def timings(self, n_prompt: int, n_predicted: int) -> Timings:
        return Timings(
            cache_n=0,
            prompt_n=n_prompt,
            prompt_ms=(self._first - self._start) * 1e3,
            predicted_n=n_predicted,
            predicted_ms=(self._last - self._first) * 1e3,
        )
