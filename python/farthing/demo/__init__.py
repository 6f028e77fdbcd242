"""The model inside the package: `farthing.Model("demo")`, under 2 MB, for a first try and tests.

MODEL.md says what it was trained on, how well it does, and how to train it again.
"""

from __future__ import annotations

from pathlib import Path


def path() -> Path:
    """The GGUF file, as an existing file of the installed package."""
    return Path(__file__).parent / "demo.gguf"
