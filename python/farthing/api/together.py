"""Several generations at once, each read as it comes, so that a stop string ends it at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from farthing.api.stream import Stream
from farthing.errors import BatchError, FarthingError, QueueFullError, RequestError
from farthing.types import Completion

Start = Callable[[], Stream[Any]]
"""Submits a request."""

Result = Completion | FarthingError

_SEEDS = 1 << 64


class Together:
    """Requests to be made, some at a time, and what has become of them."""

    def __init__(self, starts: Sequence[Start], n_at_once: int) -> None:
        """`n_at_once` are submitted at most; fewer where the queue has no room for more."""
        self._waiting = deque(enumerate(starts))
        self._n_readers = min(len(starts), n_at_once)
        self._streams: set[Stream[Any]] = set()
        self._lock = threading.Lock()
        self._results: dict[int, Result] = {}

    def wait(self) -> list[Result]:
        """Make all requests, and give their results in their order."""
        errors: list[BaseException] = []

        def read() -> None:
            try:
                self._read()
            except BaseException as error:
                errors.append(error)

        readers: list[threading.Thread] = []
        try:
            for _ in range(self._n_readers):
                # A daemon: the interpreter's end would wait for a pool's threads.
                reader = threading.Thread(target=read, name="farthing-batch", daemon=True)
                reader.start()
                readers.append(reader)
            _join(readers)
        finally:
            self._stop()
            _join(readers)
        if errors:
            raise errors[0]
        return self._ordered()

    async def await_results(self) -> list[Result]:
        """`wait` for asyncio."""
        import asyncio

        tasks = [asyncio.ensure_future(self._aread()) for _ in range(self._n_readers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._stop()
        return self._ordered()

    def _read(self) -> None:
        while (begun := self._begin()) is not None:
            index, stream = begun
            try:
                result: Result = stream.wait()
            except FarthingError as error:
                result = error
            self._end(index, stream, result)

    async def _aread(self) -> None:
        while (begun := self._begin()) is not None:
            index, stream = begun
            try:
                result: Result = await stream.await_result()
            except FarthingError as error:
                result = error
            self._end(index, stream, result)

    def _begin(self) -> tuple[int, Stream[Any]] | None:
        """Submit the next request; None when there is none, or no room for it."""
        with self._lock:
            while self._waiting:
                index, start = self._waiting[0]
                try:
                    stream = start()
                except QueueFullError as error:
                    if self._streams:
                        # Whoever reads those goes on with this one.
                        return None
                    self._results[index] = error
                except FarthingError as error:
                    self._results[index] = error
                else:
                    self._streams.add(stream)
                    self._waiting.popleft()
                    return index, stream
                self._waiting.popleft()
            return None

    def _end(self, index: int, stream: Stream[Any], result: Result) -> None:
        with self._lock:
            self._streams.discard(stream)
            self._results[index] = result

    def _stop(self) -> None:
        """Cancel what has not ended."""
        with self._lock:
            self._waiting.clear()
            streams = list(self._streams)
        for stream in streams:
            stream.cancel()

    def _ordered(self) -> list[Result]:
        return [self._results[index] for index in sorted(self._results)]


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def copies(start: Callable[[Mapping[str, Any]], Stream[Any]], n: Any, seed: Any) -> list[Start]:
    """The starts of `n` requests that differ in their seeds: that of number i is `seed + i`.

    `start` takes the options that differ. Raises RequestError if `n` is no number from 1 on.
    """
    if not isinstance(n, int) or n < 1:
        raise RequestError(f"n is {n!r}, but must be an integer of 1 or more")
    if not isinstance(seed, int) or seed < 0:
        # Each takes a new one, or refuses this.
        return [lambda: start({})] * n
    return [lambda i=i: start({"seed": (seed + i) % _SEEDS}) for i in range(n)]  # type: ignore[misc]


def reusable(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for several requests: what can be iterated only once is a list."""
    return {k: list(v) if isinstance(v, Iterator) else v for k, v in options.items()}


def first_of(results: Sequence[Result]) -> Completion:
    """The first of several answers to one prompt, with the others; raises what one raised."""
    answers = _successes(results)
    return replace(answers[0], others=tuple(answers[1:]))


def all_of(results: Sequence[Result]) -> list[Completion]:
    """The results; raises BatchError with all of them if some are errors."""
    failed = [i for i, result in enumerate(results) if isinstance(result, FarthingError)]
    if failed:
        raise BatchError(
            f"{len(failed)} of {len(results)} prompts failed, first prompts[{failed[0]}]: "
            f"{results[failed[0]]}",
            list(results),
        )
    return _successes(results)


def _successes(results: Sequence[Result]) -> list[Completion]:
    answers: list[Completion] = []
    for result in results:
        if isinstance(result, FarthingError):
            raise result
        answers.append(result)
    return answers
