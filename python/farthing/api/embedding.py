"""Texts to embeddings: what is done before and after the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from farthing.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from farthing._native import Embeddings
    from farthing.api.dispatch import Dispatcher
    from farthing.tokenization import Tokenizer

    Vectors: TypeAlias = npt.NDArray[np.float32] | list[npt.NDArray[np.float32]]
    """`[n_texts, width]`, or for each text `[n_tokens, width]`."""


def encode_texts(
    tokenizer: Callable[[], Tokenizer],
    texts: Iterable[str | Iterable[int]],
    n_ctx: int,
    *,
    truncate: bool,
) -> list[list[int]]:
    """The ids of texts, which may be ids already, at most `n_ctx` of each if `truncate` is set.

    What is cut off is the end of the text; the tokens that the model wants after it stay.
    """
    if isinstance(texts, str):
        raise RequestError("texts is a str, but must be a list of texts or of lists of token ids")
    encoded = []
    for text in texts:
        if not isinstance(text, str):
            ids = list(text)
            encoded.append(ids[:n_ctx] if truncate else ids)
            continue
        ids = tokenizer().encode(text)
        if truncate and len(ids) > n_ctx:
            plain = tokenizer().encode(text, add_special=False)
            room = n_ctx - (len(ids) - len(plain))
            ids = tokenizer().add_special(plain[:room] if room > 0 else [])
        encoded.append(ids)
    return encoded


def normalized(vectors: Vectors, pooling: str) -> Vectors:
    """Rows of length 1, if they are embeddings of texts; those of 0 stay."""
    import numpy as np

    if isinstance(vectors, list) or pooling == "rank":
        return vectors
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    unit: npt.NDArray[np.float32] = vectors / np.where(lengths > 0, lengths, np.float32(1))
    return unit


class Embedding:
    """Texts that are being computed, to be waited for once, in either way."""

    def __init__(
        self, request: Embeddings, dispatcher: Dispatcher, pooling: str, *, normalize: bool
    ) -> None:
        self._request = request
        self._dispatcher = dispatcher
        self._pooling = pooling
        self._normalize = normalize

    def wait(self) -> Vectors:
        """Block until they are there; Ctrl-C stops the computation."""
        try:
            while (vectors := self._request.take()) is None:
                pass
            return self._finished(vectors)
        finally:
            # Who handles an exception still holds the request by its traceback.
            self._request.cancel()

    async def await_result(self) -> Vectors:
        """`wait` for asyncio; cancelling the task stops the computation."""
        waiter = self._dispatcher.watch(self._request)
        try:
            while True:
                waiter.ready.clear()
                if (vectors := self._request.take(0)) is not None:
                    return self._finished(vectors)
                await waiter.ready.wait()
        finally:
            self._request.cancel()
            self._dispatcher.forget(waiter)

    def _finished(self, vectors: Vectors) -> Vectors:
        return normalized(vectors, self._pooling) if self._normalize else vectors


class NoTexts:
    """No texts, of which there is nothing to compute."""

    def __init__(self, width: int, pooling: str) -> None:
        self._width = width
        self._pooling = pooling

    def wait(self) -> Vectors:
        """The embeddings of none."""
        import numpy as np

        return [] if self._pooling == "none" else np.empty((0, self._width), np.float32)

    async def await_result(self) -> Vectors:
        """`wait` for asyncio."""
        return self.wait()
