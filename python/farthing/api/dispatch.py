"""Wakes asyncio tasks that wait for tokens.

One thread per model blocks in the compiled module, without the GIL, until an engine step has put
out something, and then calls each event loop concerned once, however many of its tasks wait. The
engine never waits for this thread.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from farthing._native import Engine

logger = logging.getLogger("farthing")

_WAIT = 60.0
"""Seconds in one wait; closing the engine ends it at once."""


class Watched(Protocol):
    """What a task can wait for: a request, or embeddings."""

    @property
    def id(self) -> int:
        """Its number, unique within the engine."""

    def watch(self) -> None:
        """Have it reported from now on."""

    def cancel(self) -> None:
        """Give it up."""


class Waiter:
    """A request and the task that waits for it."""

    def __init__(self, request: Watched) -> None:
        # Not before somebody uses it: it takes as long to import as the rest of the library.
        import asyncio

        self.request = request
        self.loop = asyncio.get_running_loop()
        self.ready = asyncio.Event()

    def wake(self) -> None:
        """Set `ready`, from any thread."""
        call(self.loop, [self])


class Dispatcher:
    """The waiting tasks of one model, and the thread that wakes them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiters: dict[int, Waiter] = {}
        # Reentrant: the garbage collector may drop a stream, which cancels it, at any point.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def watch(self, request: Watched) -> Waiter:
        """Have `ready` set on the running loop whenever the request has something to take."""
        waiter = Waiter(request)
        with self._lock:
            self._waiters[request.id] = waiter
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="farthing-dispatch", daemon=True
                )
                self._thread.start()
        request.watch()
        return waiter

    def forget(self, waiter: Waiter) -> None:
        """Stop waking it."""
        with self._lock:
            self._waiters.pop(waiter.request.id, None)

    def join(self) -> None:
        """Wait for the thread to end, after the engine was closed."""
        # What is being started cannot be waited for yet.
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while (ids := self._engine.wait_ready(_WAIT)) is not None:
            self._wake(ids)
        with self._lock:
            remaining = list(self._waiters)
        self._wake(remaining)

    def _wake(self, ids: list[int]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[Waiter]] = {}
        with self._lock:
            for request_id in ids:
                if waiter := self._waiters.get(request_id):
                    loops.setdefault(waiter.loop, []).append(waiter)
        for loop, waiters in loops.items():
            if not call(loop, waiters):
                logger.info("an event loop was closed with %d requests running", len(waiters))
                for waiter in waiters:
                    waiter.request.cancel()
                    self.forget(waiter)


def call(loop: asyncio.AbstractEventLoop, waiters: list[Waiter]) -> bool:
    """Have the loop set the waiters' events; False when it is closed."""
    try:
        loop.call_soon_threadsafe(_set_ready, waiters)
    except RuntimeError:
        return False
    return True


def _set_ready(waiters: list[Waiter]) -> None:
    for waiter in waiters:
        waiter.ready.set()
