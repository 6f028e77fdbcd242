"""Text as it is generated, for loops of both kinds."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from farthing.api.starting import Starting
from farthing.errors import FarthingError
from farthing.types import TextDelta

if TYPE_CHECKING:
    from typing_extensions import Self

    from farthing._native import Request
    from farthing.api.dispatch import Dispatcher, Waiter
    from farthing.api.generation import Generation
    from farthing.types import Completion, TokenLogprob


Piece = TypeVar("Piece")
Shown = TypeVar("Shown")
Delta = TypeVar("Delta")
Make: TypeAlias = (
    "Callable[[Piece | None, tuple[int, ...], tuple[TokenLogprob, ...] | None], Delta | None]"
)


class Stream(Generic[Piece]):
    """What is generated, piece by piece; read by one loop at a time.

    Leaving the loop early, however that happens, stops the computation at once, as do `cancel()`,
    leaving a `with` or `async with` block, cancelling the task and dropping the stream.
    Computation begins when the stream is made.
    """

    def __init__(
        self,
        model: object,
        request: Request | Starting,
        generation: Generation[Piece],
        dispatcher: Dispatcher,
        on_end: Callable[[Completion], None] | None = None,
    ) -> None:
        """Made by `Model`.

        `model` is kept alive as long as the stream. `on_end` gets the completion, once, when the
        stream ends without an error.
        """
        self._model = model
        self._request = request
        self._generation = generation
        self._dispatcher = dispatcher
        self._on_end = on_end
        # Reentrant: the garbage collector may drop a stream, which cancels it, at any point.
        self._lock = threading.RLock()
        self._ended = False
        self._result: Completion | None = None
        self._waiter: Waiter | None = None

    @property
    def result(self) -> Completion:
        """The completion, after the end; a cancelled one holds what was handed out.

        Raises FarthingError while the stream goes on, and after it failed.
        """
        if self._result is None:
            raise FarthingError("the stream has no result: it is not finished, or it failed")
        return self._result

    def cancel(self) -> None:
        """Stop the computation and end the stream; from any thread, any number of times."""
        self._end(cancelled=True)

    def close(self) -> None:
        """The same as `cancel`."""
        self.cancel()

    async def aclose(self) -> None:
        """`cancel`, for `contextlib.aclosing`."""
        self.cancel()

    def wait(self) -> Completion:
        """Read to the end and give the result."""
        for _ in self._pieces():
            pass
        return self.result

    async def await_result(self) -> Completion:
        """`wait` for asyncio."""
        async for _ in AsyncPieces(self, lambda piece: piece):
            pass
        return self.result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def _pieces(self) -> Iterator[Piece]:
        try:
            while (piece := self._next()) is not None:
                yield piece
        finally:
            self.cancel()

    def _next(self) -> Piece | None:
        while True:
            piece, more = self._advance()
            if not more:
                return piece
            self._take(None)

    async def _anext(self) -> Piece | None:
        if self._waiter is None:
            request = await self._begun()
            self._waiter = self._dispatcher.watch(request)
        while True:
            piece, more = self._advance()
            if not more:
                return piece
            self._waiter.ready.clear()
            if not self._take(0):
                await self._waiter.ready.wait()

    async def _begun(self) -> Request:
        """The request, once it is submitted."""
        if isinstance(self._request, Starting):
            try:
                self._request = await self._request.begun()
            except FarthingError:
                self._fail()
                raise
        return self._request

    def _advance(self) -> tuple[Piece | None, bool]:
        """The next piece, or whether the engine's next output is needed, or neither at the end."""
        generation = self._generation
        with self._lock:
            if self._ended:
                return None, False
            piece = generation.next_piece()
        if piece is not None:
            return piece, False
        if generation.finished is not None:
            self._end(cancelled=False)
            return None, False
        if generation.stopped:
            # The engine's last word, with the usage, comes when the pass in progress ends.
            self._request.cancel()
        return None, True

    def _take(self, timeout: float | None) -> bool:
        """Fetch what the engine has put out, if anything."""
        try:
            outputs = self._request.take(timeout)
        except FarthingError:
            self._fail()
            raise
        self._generation.push(outputs)
        return bool(outputs)

    def _fail(self) -> None:
        with self._lock:
            self._ended = True
        self._let_go()

    def _end(self, *, cancelled: bool) -> None:
        with self._lock:
            if self._ended:
                return
            # Together: a reader in another thread that finds the end asks for the result.
            self._ended = True
            self._result = self._generation.completion(cancelled=cancelled)
        self._let_go()
        if self._on_end is not None:
            self._on_end(self._result)

    def _let_go(self) -> None:
        """Stop the computation and whoever waits for it."""
        self._request.cancel()
        if self._waiter is not None:
            self._dispatcher.forget(self._waiter)
            self._waiter.wake()


class TokenStream(Stream[str]):
    """Pieces of text, by `for` or by `async for`; they join to exactly `result.text`.

    By `deltas()` they come with their tokens and log-probabilities.
    """

    def __iter__(self) -> Iterator[str]:
        return self._pieces()

    def __aiter__(self) -> AsyncIterator[str]:
        return AsyncPieces(self, lambda piece: piece)

    def deltas(self) -> Deltas[str, TextDelta]:
        """Pieces with their tokens. Replaces iteration."""
        return Deltas(self, lambda text, tokens, logprobs: TextDelta(text or "", tokens, logprobs))


class Deltas(Generic[Piece, Delta]):
    """The pieces of a stream with their tokens, by `for` or by `async for`."""

    def __init__(self, stream: Stream[Piece], make: Make[Piece, Delta]) -> None:
        """`make` gets a piece, its tokens and their log-probabilities, at the end without a piece.

        What it gives is handed out, unless it is None.
        """
        self._stream = stream
        self._make = make

    def __iter__(self) -> Iterator[Delta]:
        for piece in self._stream._pieces():
            if (delta := self._complete(piece)) is not None:
                yield delta
        if (rest := self._rest()) is not None:
            yield rest

    def __aiter__(self) -> AsyncIterator[Delta]:
        return AsyncPieces(self._stream, self._complete, self._rest)

    def _complete(self, piece: Piece) -> Delta | None:
        return self._make(piece, *self._stream._generation.new_tokens())

    def _rest(self) -> Delta | None:
        """Tokens without a piece behind the last one, if there are."""
        tokens, logprobs = self._stream._generation.new_tokens()
        return self._make(None, tokens, logprobs) if tokens else None


class AsyncPieces(Generic[Piece, Shown]):
    """One `async for` over a stream.

    `async for` closes nothing when it is left, but it lets go of this object at once.
    """

    def __init__(
        self,
        stream: Stream[Piece],
        show: Callable[[Piece], Shown | None],
        last: Callable[[], Shown | None] = lambda: None,
    ) -> None:
        """`show` gives what the loop sees of a piece; pieces for which it is None are skipped.

        `last` gives what it sees behind the last one, if anything.
        """
        self._stream = stream
        self._show = show
        self._last = last

    def __aiter__(self) -> AsyncIterator[Shown]:
        return self

    async def __anext__(self) -> Shown:
        try:
            while (piece := await self._stream._anext()) is not None:
                shown = self._show(piece)
                if shown is not None:
                    return shown
            if (shown := self._last()) is not None:
                return shown
        except BaseException:
            self._stream.cancel()
            raise
        raise StopAsyncIteration

    def __del__(self) -> None:
        self._stream.cancel()
