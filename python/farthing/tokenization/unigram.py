"""SentencePiece Unigram vocabularies (`tokenizer.ggml.model` = "t5"): T5, XLM-RoBERTa.

Text is normalized by a compiled table of replacements that the file has, and cut so that the sum
of the tokens' scores is the highest, as SentencePiece does. `tokenizers` loses a character that
follows a replaced one within a grapheme; `hf` has that flaw.
"""

from __future__ import annotations

import numpy as np
from tokenizers import Regex, decoders, models, normalizers

from farthing._native import TokenBytes, TokenModel
from farthing.tokenization.kinds import Parts
from farthing.tokenization.spm import SPACE
from farthing.tokenization.vocabulary import PREFIX, SPECIAL_TYPES, TokenType, Vocabulary

_UNKNOWN_PENALTY = 10.0
"""How much worse than the worst token an unknown character is."""


def build(vocabulary: Vocabulary) -> Parts:
    """EOS at the end unless the file says no; a run of unknown characters is one token."""
    unknown = vocabulary.token_id("unknown")
    unknown = min(2, len(vocabulary) - 1) if unknown is None else unknown
    merge_spaces = vocabulary.flag("remove_extra_whitespaces") or False
    space_prefix = vocabulary.flag("add_space_prefix")
    space_prefix = merge_spaces if space_prefix is None else space_prefix
    add_eos = vocabulary.flag("add_eos_token")
    normal = vocabulary.types == TokenType.NORMAL
    scores = np.where(normal, vocabulary.scores, 0.0).astype(np.float64)
    worst = float(scores[normal].min()) if normal.any() else 0.0
    charsmap = _charsmap(vocabulary)
    return Parts(
        tokens=TokenModel.unigram(
            vocabulary.tokens,
            scores,
            worst - _UNKNOWN_PENALTY,
            left_out=vocabulary.of_types(SPECIAL_TYPES | {TokenType.BYTE}),
            unknown=unknown,
            charsmap=charsmap,
            merge_spaces=merge_spaces,
            space_prefix=space_prefix,
        ),
        hf_model=lambda: models.Unigram(
            list(zip(vocabulary.texts, scores.tolist(), strict=True)), unknown, False
        ),
        decoder=decoders.Metaspace(SPACE, "always" if space_prefix else "never"),
        token_bytes=TokenBytes.pieces(vocabulary.tokens, vocabulary.types, SPACE),
        hf_normalizer=lambda: _hf_normalizer(charsmap, merge_spaces, space_prefix),
        space_prefix=space_prefix,
        add_bos=vocabulary.flag("add_bos_token") or False,
        add_eos=True if add_eos is None else add_eos,
    )


def _charsmap(vocabulary: Vocabulary) -> bytes | None:
    value = vocabulary.metadata.get(f"{PREFIX}precompiled_charsmap")
    if value is None or not len(value):
        return None
    # Files write the bytes with or without sign.
    return np.asarray(value).astype(np.uint8).tobytes()


def _hf_normalizer(
    charsmap: bytes | None, merge_spaces: bool, space_prefix: bool
) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = []
    if charsmap is not None:
        steps.append(normalizers.Precompiled(charsmap))
    if merge_spaces:
        steps += [
            normalizers.Replace(Regex("^ +| +$"), ""),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    if space_prefix:
        steps.append(normalizers.Prepend(SPACE))
    return normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
