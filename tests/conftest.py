"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shell's background jobs ignore Ctrl-C, and so would all processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in each run, however slow: `--hypothesis-profile wide` looks for others.
SLOW_TOO = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("farthing", derandomize=True, **SLOW_TOO)
settings.register_profile("wide", max_examples=2000, **SLOW_TOO)
settings.load_profile("farthing")

VARIABLE = "FARTHING_TEST_DATA"
DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of test data; a test that asks for it is skipped where there is none."""
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else DEFAULT
    if not folder.is_dir():
        if named:
            pytest.fail(f"{VARIABLE} is {named}, which is not a folder")
        pytest.skip(f"needs the test data: set {VARIABLE} to its folder")
    return folder
