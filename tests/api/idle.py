"""Long work, and whether an engine stops it.

What is asserted are tokens computed, not seconds: they do not depend on what else the machine does.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator

from farthing import Model
from models import ID, PIECES

WHOLE = 16_000
"""Tokens of a long prompt, which take the slow model a second or more."""

MOST = WHOLE // 2
"""More than these are not computed of work that is given up soon after it began."""

PATIENCE = 100.0
"""Seconds until something that must come counts as missing."""

SETTLED = 0.05
"""Seconds without work that show that no more comes: what the engine reports lags by a step."""

DECODE = [ID["▁Once"]]
"""A prompt that is computed at once, to which the slow model's answer never ends."""

_first = itertools.count(ID["!"])


def long_prompt(n_tokens: int = WHOLE) -> list[int]:
    """A prompt of which nothing is in the slow model's cache."""
    first = next(_first)
    assert first < len(PIECES), "prompts begin to repeat"
    return [first] + [ID["x"]] * (n_tokens - 1)


def is_idle(model: Model) -> bool:
    status = model._engine.status
    return status["running"] == 0 and status["waiting"] == 0


def wait_until_busy(model: Model) -> None:
    """Until a request is being computed."""
    end = time.perf_counter() + PATIENCE
    while model._engine.status["running"] == 0:
        assert time.perf_counter() < end, "the request was never computed"
        time.sleep(0.001)


def wait_until_idle(model: Model) -> None:
    """Until the engine computes nothing and goes on to do so."""
    start = last = time.perf_counter()
    while (now := time.perf_counter()) - last < SETTLED:
        assert now - start < PATIENCE, "the engine goes on"
        if not is_idle(model):
            last = now
        time.sleep(0.001)


@contextlib.contextmanager
def given_up(model: Model) -> Iterator[None]:
    """Long work that begins and is given up within the block stops, and is left undone."""
    model._engine.start_profile()
    yield
    wait_until_idle(model)
    assert n_computed(model) < MOST


def n_computed(model: Model) -> int:
    """Tokens that the engine has computed since its profile began, which ends."""
    n: int = model._engine.stop_profile()["tokens"]
    return n
