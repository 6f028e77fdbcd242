"""Requests whose grammar is compiled first, without holding up an event loop."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from farthing.errors import FarthingError

if TYPE_CHECKING:
    from farthing._native import Finished, Request, Token

Result = TypeVar("Result")

_N_THREADS = 2
"""Grammars compiled at a time for event loops."""


class Starting:
    """A request that another thread submits as soon as it can."""

    def __init__(self, request: Future[Request]) -> None:
        self._request = request

    def take(self, timeout: float | None) -> list[Token | Finished]:
        """As of the request; also raises what submitting it raised."""
        return _result(self._request).take(timeout)

    def cancel(self) -> None:
        """Give the request up, now or when it is submitted."""
        self._request.add_done_callback(_cancel)

    async def begun(self) -> Request:
        """The request; raises what submitting it raised."""
        return await _awaited(self._request)


class Starter:
    """Threads for work that event loops are not to wait for."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Have work done; what it raises is the future's."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_N_THREADS, "farthing-grammar")
            return self._pool.submit(work)

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of work."""
        return await _awaited(self.submit(work))

    def close(self) -> None:
        """Begin no more work."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)


def on_loop() -> bool:
    """Whether this thread runs an event loop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _awaited(future: Future[Result]) -> Result:
    """What comes from another thread. Whoever waits may be cancelled; the work goes on."""
    import asyncio

    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: Future[Result]) -> None:
        with suppress(RuntimeError):  # The loop is closed: nobody waits.
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
    return _result(future)


def _result(future: Future[Result]) -> Result:
    try:
        return future.result()
    except CancelledError:
        raise FarthingError("the engine is closed") from None


def _cancel(request: Future[Request]) -> None:
    if not request.cancelled() and request.exception() is None:
        request.result().cancel()
