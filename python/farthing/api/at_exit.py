"""What is open is closed while Python still runs: no thread of an engine may outlive it."""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import Protocol

from farthing.errors import FarthingError


class Closable(Protocol):
    """What has threads until it is closed."""

    def close(self) -> None:
        """End them; does nothing the second time."""


_open: weakref.WeakSet[Closable] = weakref.WeakSet()


def close_at_exit(thing: Closable) -> None:
    """Close it when the interpreter ends, if it is still there."""
    _open.add(thing)


@atexit.register
def _close_all() -> None:
    report = threading.excepthook

    def report_others(args: threading.ExceptHookArgs) -> None:
        is_daemon = args.thread is not None and args.thread.daemon
        if not (is_daemon and isinstance(args.exc_value, FarthingError)):
            report(args)

    # Daemons that wait for a model now hear that it is closed, which is nothing to be reported.
    threading.excepthook = report_others
    for thing in list(_open):
        thing.close()
