"""Texts that a repetition does not go across, as the token sequences that the engine looks for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from farthing import _native

if TYPE_CHECKING:
    from farthing.tokenization import Tokenizer


class BreakerSets:
    """The sequence breakers of a vocabulary: those used last are kept."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.find = lru_cache(maxsize=16)(self._find)

    def _find(self, texts: tuple[str, ...]) -> _native.Breakers:
        """Every way in which one of the texts can begin within a token, as llama.cpp finds them.

        A token that holds all of it is one by itself; one that ends with a beginning of it is one
        together with the tokens of the rest.
        """
        tails = [(text.encode(), dict(self._tails(text))) for text in texts]
        sequences: dict[tuple[int, tuple[int, ...]], None] = {}
        for token_id in range(self._tokenizer.n_vocab):
            spelling = self._tokenizer.token_bytes(token_id)
            for whole, after in tails:
                if whole in spelling:
                    sequences[token_id, ()] = None
                    continue
                for beginning, tail in after.items():
                    if spelling.endswith(beginning):
                        sequences[token_id, tail] = None
        return _native.Breakers([(head, list(tail)) for head, tail in sequences])

    def _tails(self, text: str) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        for cut in range(1, len(text)):
            tail = self._tokenizer.encode(text[cut:], add_special=False)
            yield text[:cut].encode(), tuple(tail)
