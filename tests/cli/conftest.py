"""Models and environments for the tests of the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import shell

from models import ROUND, Tiny


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tells its story and ends."""
    return Tiny().write(tmp_path_factory.mktemp("models") / "story.gguf")


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that never ends by itself."""
    return Tiny(story=ROUND).write(tmp_path_factory.mktemp("models") / "endless.gguf")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a command finds: a home of its own and a plain, wide terminal."""
    for name, value in {"FARTHING_HOME": str(tmp_path), "TERM": "dumb", "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


@pytest.fixture
def farthing(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> shell.Farthing:
    """Run a command to its end."""
    return shell.command(monkeypatch)
