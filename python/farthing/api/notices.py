"""What the engine has to say to the user, in the log."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farthing._native import Engine

logger = logging.getLogger("farthing")

_WAIT = 60.0
"""Seconds in one wait; closing the engine ends it at once."""


class Notices:
    """A thread that logs them as warnings until the engine is closed."""

    def __init__(self, engine: Engine) -> None:
        self._thread = threading.Thread(
            target=_run, args=(engine,), name="farthing-notices", daemon=True
        )
        self._thread.start()

    def join(self) -> None:
        """Wait for the last of them, after the engine was closed."""
        if self._thread is not threading.current_thread():
            self._thread.join()


def log_prefix_files(folder: Path) -> None:
    """Say what there is in a model's folder of prefix files, and which folders are beside it."""
    n_files = len(_entries(folder))
    logger.info("prefix cache: %d files of this model are in %s", n_files, folder)
    others = [path for path in _entries(folder.parent) if path != folder and path.is_dir()]
    for other in others:
        logger.info("prefix cache: %s is ignored: it is of another model or version", other)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _run(engine: Engine) -> None:
    while (notices := engine.wait_notices(_WAIT)) is not None:
        for notice in notices:
            logger.warning("%s", notice)
