"""Models for the tests of the library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing import Model
from models import ROUND, Shape, Tiny


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the model files are."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def story_path(folder: Path) -> Path:
    """A model that tells its story and ends."""
    return Tiny().write(folder / "story.gguf")


@pytest.fixture(scope="session")
def story(story_path: Path) -> Iterator[Model]:
    with Model(story_path) as model:
        yield model


@pytest.fixture(scope="session")
def slow_path(folder: Path) -> Path:
    """A model of long contexts that never ends by itself."""
    shape = Shape(layers=4, width=256, hidden=512, kv_heads=4, context=18_000)
    return Tiny(shape, story=ROUND).write(folder / "slow.gguf")


@pytest.fixture(scope="session")
def slow(slow_path: Path) -> Iterator[Model]:
    # Two threads, so that it is slow on machines with many cores too.
    n_threads = min(2, len(os.sched_getaffinity(0)))
    with Model(slow_path, max_sequences=4, n_threads=n_threads) as model:
        yield model
