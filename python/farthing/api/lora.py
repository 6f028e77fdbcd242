"""Low-rank adapters of a model by name."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from farthing import _native
from farthing.errors import RequestError

logger = logging.getLogger("farthing")

File: TypeAlias = "str | os.PathLike[str]"

Files: TypeAlias = "File | Iterable[File] | Mapping[str, File]"
"""A file, several, or files by name."""

Choice: TypeAlias = "str | Iterable[str] | Mapping[str, float]"
"""Names, with scales or with the scale 1."""


class Adapters:
    """The adapters that a model has loaded; safe to use from any thread."""

    def __init__(self, engine: _native.Engine, files: Files | None) -> None:
        """Load the files; those given without names are the default choice."""
        self._engine = engine
        self._lock = threading.Lock()
        self._loaded: dict[str, _native.Adapter] = {}
        self._default: dict[str, float] = {}
        if isinstance(files, Mapping):
            for name, path in files.items():
                self.load(path, name)
        elif files is not None:
            paths = [files] if isinstance(files, (str, os.PathLike)) else files
            self._default = {self.load(path): 1.0 for path in paths}

    def names(self) -> list[str]:
        """In the order of loading."""
        return list(self._loaded)

    def load(self, path: File, name: str | None = None) -> str:
        """Load a file under a name, by default the file's without its ending; gives it back."""
        name = Path(path).stem if name is None else name
        self._check_free(name)
        adapter = self._engine.load_adapter(_native.Gguf(path))
        with self._lock:
            self._check_free(name)
            self._loaded[name] = adapter
        if adapter.ignored:
            logger.warning("%s: not applied: %s", path, ", ".join(adapter.ignored))
        facts = (name, path, adapter.n_matrices, adapter.n_bytes)
        logger.info("loaded adapter %s from %s: %d matrices, %d bytes", *facts)
        return name

    def unload(self, name: str) -> None:
        """Forget an adapter; requests that use it go on."""
        with self._lock:
            if self._loaded.pop(name, None) is None:
                raise self._unknown(name)
            self._default.pop(name, None)

    def choose(self, choice: Choice | None) -> list[tuple[_native.Adapter, float]]:
        """The adapters of a request with their scales; None is the default choice."""
        with self._lock:
            scales = self._default if choice is None else _scales(choice)
            for name in scales:
                if name not in self._loaded:
                    raise self._unknown(name)
            return [(self._loaded[name], scale) for name, scale in scales.items()]

    def _check_free(self, name: str) -> None:
        if name in self._loaded:
            raise RequestError(f"there is an adapter named {name!r} already")

    def _unknown(self, name: str) -> RequestError:
        known = ", ".join(map(repr, self._loaded)) or "none"
        return RequestError(f"no adapter is named {name!r}; loaded: {known}")


def _scales(choice: Choice) -> dict[str, float]:
    if isinstance(choice, Mapping):
        for name, scale in choice.items():
            if isinstance(scale, bool) or not isinstance(scale, (int, float)):
                raise RequestError(f"the scale of {name!r} in lora is {scale!r}, not a number")
        return {name: float(scale) for name, scale in choice.items()}
    return dict.fromkeys([choice] if isinstance(choice, str) else choice, 1.0)
