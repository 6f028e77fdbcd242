"""Long work, and how soon an engine stops it."""

from __future__ import annotations

import itertools
import time

from farthing import Model
from models import ID, PIECES

LIMIT = 0.1
"""Seconds within which cancelled work must have stopped."""

SETTLED = 0.05
"""Seconds without work that show that no more comes: what the engine reports lags by a step."""

DECODE = [ID["▁Once"]]
"""A prompt that is computed at once, to which the slow model's answer never ends."""

_first = itertools.count(ID["!"])


def long_prompt(n_tokens: int = 16_000) -> list[int]:
    """A prompt that takes the slow model more than a second: none of it is in its cache."""
    first = next(_first)
    assert first < len(PIECES), "prompts begin to repeat"
    return [first] + [ID["x"]] * (n_tokens - 1)


def is_idle(model: Model) -> bool:
    status = model._engine.status
    return status["running"] == 0 and status["waiting"] == 0


def wait_until_busy(model: Model) -> None:
    """Until a request is being computed."""
    end = time.perf_counter() + 10
    while model._engine.status["running"] == 0:
        assert time.perf_counter() < end, "the request was never computed"
        time.sleep(0.001)


def seconds_until_idle(model: Model) -> float:
    """From now to when the engine was last seen computing; 5 if it goes on."""
    start = last = time.perf_counter()
    while (now := time.perf_counter()) - last < SETTLED and now - start < 5:
        if not is_idle(model):
            last = now
        time.sleep(0.001)
    return last - start
