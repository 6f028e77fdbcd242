"""The exceptions of the package: everything it raises on purpose is a `FarthingError`.

The compiled module imports them from here, so there is one tree.
"""

from typing import Any


class FarthingError(Exception):
    """Base of all errors of this package."""


class ModelFileError(FarthingError):
    """A model file is missing, damaged or contradicts itself; names the file and the place."""


class UnsupportedModelError(FarthingError):
    """A sound file holding something that is not implemented; names it."""


class RequestError(FarthingError, ValueError):
    """A request asks for something impossible; names the argument and its value."""


class ContextLengthError(RequestError):
    """A prompt is longer than the context; names both lengths in tokens."""


class OutOfMemoryError(FarthingError, MemoryError):
    """What was asked for does not fit in memory; names both sizes."""


class QueueFullError(FarthingError):
    """As many requests as may be under way are; names how many, and how many may run and wait."""


class BatchError(FarthingError):
    """Some prompts of a batch failed; `results` has each one's completion or error, in order."""

    def __init__(self, text: str, results: list[Any]) -> None:
        super().__init__(text)
        self.results = results


class SessionError(FarthingError):
    """A stored conversation cannot be read or written; names its file."""
