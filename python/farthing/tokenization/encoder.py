"""From a text to ids: special tokens, normal form, cutting, and the token model.

`tokenizers` does the first three. The token model is ours where that loads faster (a quarter of a
million tokens in a fifth of a second instead of one) or where `tokenizers` has none of the kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from farthing.tokenization.kinds import Parts
from farthing.tokenization.special_tokens import added_tokens
from farthing.tokenization.vocabulary import Vocabulary

if TYPE_CHECKING:
    import tokenizers
    from tokenizers.models import Model
    from tokenizers.normalizers import Normalizer

_PIECE = 0
_NO_TOKEN = "\U0010ffff"


class Encoder:
    """Encodes with some tokens matched as a whole."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        parts: Parts,
        whole: Iterable[int],
        special: frozenset[int],
    ) -> None:
        """`whole` are the tokens matched before all else, those in `special` are no text."""
        from tokenizers.models import Unigram

        whole = sorted(whole)
        self._tokens = parts.tokens
        # A model without tokens gives every piece back as it is, as one unknown token.
        model = Unigram([(_NO_TOKEN, 0.0)], _PIECE, False) if parts.tokens else parts.hf_model()
        self._cutter = assemble(model, parts.normalizer, vocabulary, parts, whole, special)
        texts = ((token_id, vocabulary.text(token_id)) for token_id in whole)
        self._whole = {self._cutter.token_to_id(text): token_id for token_id, text in texts}

    def encode(self, text: str) -> list[int]:
        """The ids of a text, nothing added."""
        cut = self._cutter.encode(text, add_special_tokens=False)
        if self._tokens is None:
            return cut.ids
        marks = cut.ids
        if not any(marks):
            return self._tokens.encode(cut.tokens)
        ids: list[int] = []
        pieces: list[str] = []
        for mark, piece in zip(marks, cut.tokens, strict=True):
            if mark == _PIECE:
                pieces.append(piece)
            else:
                ids += self._tokens.encode(pieces)
                ids.append(self._whole[mark])
                pieces = []
        return ids + self._tokens.encode(pieces)


def assemble(
    model: Model,
    normalizer: Normalizer | None,
    vocabulary: Vocabulary,
    parts: Parts,
    whole: Iterable[int],
    special: frozenset[int],
) -> tokenizers.Tokenizer:
    """A `tokenizers` object around a model, with some tokens matched as a whole."""
    import tokenizers

    hf = tokenizers.Tokenizer(model)
    if normalizer is not None:
        hf.normalizer = normalizer
    if parts.pre_tokenizer is not None:
        hf.pre_tokenizer = parts.pre_tokenizer
    if parts.decoder is not None:
        hf.decoder = parts.decoder
    hf.add_tokens(added_tokens(vocabulary, whole, special))
    return hf
