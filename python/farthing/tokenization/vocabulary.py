"""The tokens of a model as its file states them, checked.

Keys and their meaning: the GGUF specification, section "Tokenizer" (`tokenizer.ggml.*`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

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

    texts: list[str]
    """One text per id. Bytes that are not UTF-8 are replaced by a text that cannot occur."""
    types: list[int]
    """One `TokenType` per id."""
    scores: list[float]
    """One per id; all 0 when the file has none. The higher, the earlier SPM merges the token."""
    raw: Mapping[int, bytes]
    """The bytes of those tokens that are not UTF-8."""
    metadata: Mapping[str, Any]

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Vocabulary:
        """Read and check the arrays; raises `ModelFileError` where they contradict each other."""
        tokens = _array(metadata, "tokens")
        if not tokens:
            raise ModelFileError(f"{PREFIX}tokens is missing or empty: the file has no vocabulary")
        texts: list[str] = []
        raw: dict[int, bytes] = {}
        for token_id, token in enumerate(tokens):
            if isinstance(token, bytes):
                raw[token_id] = token
                token = f"\ufffd{token.hex()}"
            elif not isinstance(token, str):
                raise ModelFileError(
                    f"{PREFIX}tokens[{token_id}] is a {type(token).__name__}, not a string"
                )
            texts.append(token)
        types = _array(metadata, "token_type")
        scores = _array(metadata, "scores")
        for key, values in (("token_type", types), ("scores", scores)):
            if values and len(values) != len(texts):
                raise ModelFileError(
                    f"{PREFIX}{key} has {len(values)} entries, {PREFIX}tokens has {len(texts)}"
                )
        return cls(
            texts=texts,
            types=[int(kind) for kind in types] or [int(TokenType.NORMAL)] * len(texts),
            scores=[float(score) for score in scores] or [0.0] * len(texts),
            raw=raw,
            metadata=metadata,
        )

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Text to id; of equal texts the last id."""
        return {text: token_id for token_id, text in enumerate(self.texts)}

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

    def merges(self) -> list[tuple[str, str]]:
        """`tokenizer.ggml.merges`, best first; those that are not UTF-8 are left out.

        Raises `ModelFileError` when there are none or one is not two texts with a space between.
        """
        merges = _array(self.metadata, "merges")
        if not merges:
            raise ModelFileError(f"{PREFIX}merges is missing: a BPE vocabulary needs it")
        written = [merge for merge in merges if isinstance(merge, str)]
        # From the second character on: the first half is never empty but may be a space.
        pairs = [
            (merge[:space], merge[space + 1 :])
            for merge in written
            if (space := merge.find(" ", 1)) > 0
        ]
        if len(pairs) < len(written):
            wrong = next(merge for merge in written if merge.find(" ", 1) < 0)
            raise ModelFileError(
                f"{PREFIX}merges[{merges.index(wrong)}] is {wrong!r}, "
                "not two texts with a space between"
            )
        return pairs


def _array(metadata: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = metadata.get(PREFIX + name)
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        raise ModelFileError(f"{PREFIX}{name} is a {type(value).__name__}, not an array")
    return value  # type: ignore[no-any-return]
