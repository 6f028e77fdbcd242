"""A model, and the comparison's modules, which are not in the package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from models import Tiny

sys.path.append(str(Path(__file__).parents[2] / "benches" / "peers"))


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tells its story and ends."""
    return Tiny().write(tmp_path_factory.mktemp("models") / "story.gguf")
