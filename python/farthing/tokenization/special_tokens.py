"""Tokens that are matched in text as a whole, before anything else is done to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farthing.tokenization.end_of_generation import ENDS
from farthing.tokenization.vocabulary import SPECIAL_TYPES, TokenType, Vocabulary

if TYPE_CHECKING:
    from tokenizers import AddedToken


@dataclass(frozen=True)
class WholeTokens:
    """The two groups, as ids."""

    special: frozenset[int]
    """Matched only where special tokens are allowed, and no part of the text they make."""
    added: frozenset[int]
    """Matched always: part of the text."""


def find_whole_tokens(
    vocabulary: Vocabulary, named: frozenset[int], eog_ids: frozenset[int]
) -> WholeTokens:
    """Sort by type; ends of generation are special even where a converter gave a wrong type.

    A file without types has `named` (BOS, EOS and the like) as its special tokens.
    """
    special = eog_ids.intersection(vocabulary.find(ENDS).values())
    if "tokenizer.ggml.token_type" not in vocabulary.metadata:
        special |= named
    special |= frozenset(vocabulary.of_types(SPECIAL_TYPES))
    return WholeTokens(special, frozenset(vocabulary.of_types([TokenType.USER_DEFINED])) - special)


def added_tokens(
    vocabulary: Vocabulary, ids: Iterable[int], special: frozenset[int]
) -> list[AddedToken]:
    """The tokens for `tokenizers`; some swallow the white space beside them."""
    from tokenizers import AddedToken

    swallow_left = _swallowing_left(vocabulary)
    swallow_right = _is_phi3(vocabulary)
    return [
        AddedToken(
            text,
            lstrip=text in swallow_left,
            rstrip=swallow_right and text not in _PHI3_KEEPING,
            normalized=False,
            special=token_id in special,
        )
        for token_id in ids
        if (text := vocabulary.text(token_id))
    ]


_PHI3_KEEPING = frozenset({"<unk>", "<s>", "<|endoftext|>"})
"""Phi-3's other tokens swallow the white space after them, which files do not say."""


def _is_phi3(vocabulary: Vocabulary) -> bool:
    name = str(vocabulary.metadata.get("general.name", "")).lower()
    return "phi-3" in name or "phi3" in name


def _swallowing_left(vocabulary: Vocabulary) -> frozenset[str]:
    """The mask tokens of these families swallow the white space before them."""
    pre = str(vocabulary.metadata.get("tokenizer.ggml.pre", ""))
    architecture = str(vocabulary.metadata.get("general.architecture", ""))
    if pre in ("jina-v2-de", "jina-v2-es", "jina-v2-code") or architecture in (
        "nomic-bert-moe",
        "jina-bert-v3",
    ):
        return frozenset({"<mask>"})
    return frozenset({"[MASK]"}) if architecture == "modern-bert" else frozenset()
