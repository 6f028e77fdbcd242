"""The tokens of a model as its file states them, checked.

Keys and their meaning: the GGUF specification, section "Tokenizer" (`tokenizer.ggml.*`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from farthing import _native
from farthing.errors import ModelFileError

logger = logging.getLogger(__name__)

PREFIX = "tokenizer.ggml."


class TokenType(IntEnum):
    """`tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


SPECIAL_TYPES = frozenset({TokenType.CONTROL, TokenType.UNKNOWN})
"""Types that occur in text only where the caller allows special tokens."""


@dataclass(frozen=True)
class Vocabulary:
    """Tokens, their types and scores, and the metadata they came from."""

    tokens: _native.Strings
    """One per id."""
    types: npt.NDArray[np.int32]
    """One `TokenType` per id."""
    scores: npt.NDArray[np.float32]
    """One per id; all 0 when the file has none. The higher, the earlier SPM merges the token."""
    metadata: Mapping[str, Any]

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Vocabulary:
        """Read and check the arrays; raises `ModelFileError` where they contradict each other."""
        tokens = _strings(metadata, "tokens")
        if not len(tokens):
            raise ModelFileError(f"{PREFIX}tokens is missing or empty: the file has no vocabulary")
        types = _numbers(metadata, "token_type", len(tokens))
        scores = _numbers(metadata, "scores", len(tokens))
        return cls(
            tokens=tokens,
            types=np.asarray(np.full(len(tokens), 1) if types is None else types, np.int32),
            scores=np.asarray(np.zeros(len(tokens)) if scores is None else scores, np.float32),
            metadata=metadata,
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def text(self, token_id: int) -> str:
        """The text of a token; what is not UTF-8 is replaced by a text that cannot occur."""
        token = self.tokens[token_id]
        return token if isinstance(token, str) else f"\ufffd{token.hex()}"

    def type_of(self, token_id: int) -> int:
        """The `TokenType` of an id, as a plain number.

        One of numpy's would ask an enum that it is compared with for an attribute, which takes
        long and loses a Ctrl-C that comes meanwhile.
        """
        return int(self.types[token_id])

    def raw(self, token_id: int) -> bytes:
        """The bytes of a token's text."""
        token = self.tokens[token_id]
        return token.encode() if isinstance(token, str) else token

    @cached_property
    def texts(self) -> list[str]:
        """`text` of every id."""
        tokens = self.tokens.tolist()
        return [token if isinstance(token, str) else f"\ufffd{token.hex()}" for token in tokens]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Text to id; of equal texts the last id."""
        return {text: token_id for token_id, text in enumerate(self.texts)}

    def find(self, texts: Iterable[str]) -> dict[str, int]:
        """The ids of those texts that are tokens; much faster than `ids` for a few."""
        return self.tokens.find(list(texts))

    def of_types(self, types: Iterable[TokenType]) -> list[int]:
        """The ids of all tokens of some types."""
        found: list[int] = np.flatnonzero(np.isin(self.types, list(types))).tolist()
        return found

    def token_id(self, name: str) -> int | None:
        """The id under `tokenizer.ggml.<name>_token_id`; None, with a warning, if out of range."""
        key = f"{PREFIX}{name}_token_id"
        value = self.metadata.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or not 0 <= value < len(self):
            logger.warning("%s is %r, the vocabulary has %d tokens: ignored", key, value, len(self))
            return None
        return value

    def flag(self, name: str) -> bool | None:
        """The boolean under `tokenizer.ggml.<name>`, None when absent."""
        value = self.metadata.get(PREFIX + name)
        return None if value is None else bool(value)

    def merges(self) -> _native.Strings:
        """`tokenizer.ggml.merges`, best first; raises `ModelFileError` when there are none."""
        merges = _strings(self.metadata, "merges")
        if not len(merges):
            raise ModelFileError(f"{PREFIX}merges is missing: a BPE vocabulary needs it")
        return merges


def _strings(metadata: Mapping[str, Any], name: str) -> _native.Strings:
    values = _array(metadata, name)
    if isinstance(values, _native.Strings):
        return values
    for place, value in enumerate(values):
        if not isinstance(value, str | bytes):
            raise ModelFileError(
                f"{PREFIX}{name}[{place}] is a {type(value).__name__}, not a string"
            )
    return _native.Strings(values)


def _numbers(metadata: Mapping[str, Any], name: str, wanted: int) -> npt.NDArray[Any] | None:
    values = _array(metadata, name)
    if not len(values):
        return None
    if len(values) != wanted:
        raise ModelFileError(
            f"{PREFIX}{name} has {len(values)} entries, {PREFIX}tokens has {wanted}"
        )
    numbers = None if isinstance(values, _native.Strings) else np.asarray(values)
    if numbers is None or numbers.ndim != 1 or numbers.dtype.kind not in "iufb":
        raise ModelFileError(f"{PREFIX}{name} is not an array of numbers")
    return numbers


def _array(metadata: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = metadata.get(PREFIX + name)
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        raise ModelFileError(f"{PREFIX}{name} is a {type(value).__name__}, not an array")
    return value  # type: ignore[no-any-return]
