"""The listed merges of a BPE vocabulary for `tokenizers`."""

from __future__ import annotations

from typing import Any

from tokenizers import models

from farthing.tokenization.vocabulary import Vocabulary


def hf_bpe(vocabulary: Vocabulary, **options: Any) -> models.BPE:
    """The model of the listed merges; those whose halves or result are no tokens are left out."""
    ids = vocabulary.ids
    merges = []
    for merge in vocabulary.merges().tolist():
        if isinstance(merge, str):
            # From the second character on: the first half is never empty but may be a space.
            space = merge.find(" ", 1)
            left, right = merge[:space], merge[space + 1 :]
            if left in ids and right in ids and left + right in ids:
                merges.append((left, right))
    return models.BPE(ids, merges, **options)
