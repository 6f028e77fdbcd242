"""BPE over the characters of words (`tokenizer.ggml.model` = "whitespace").

White space is dropped; what is between is cut where letters and signs meet, as the models' own
`tokenizer.json` says ("Whitespace").
"""

from __future__ import annotations

from tokenizers import normalizers, pre_tokenizers

from farthing._native import TokenBytes, TokenModel
from farthing.tokenization.kinds import Parts
from farthing.tokenization.merges import hf_bpe
from farthing.tokenization.vocabulary import Vocabulary


def build(vocabulary: Vocabulary) -> Parts:
    """Lower case only if `tokenizer.ggml.normalizer.lowercase` says so."""
    unknown = vocabulary.token_id("unknown")
    return Parts(
        tokens=TokenModel.bpe(vocabulary.tokens, vocabulary.merges(), unknown=unknown),
        hf_model=lambda: hf_bpe(
            vocabulary, unk_token=None if unknown is None else vocabulary.text(unknown)
        ),
        token_bytes=TokenBytes.plain(vocabulary.tokens),
        normalizer=normalizers.Lowercase() if vocabulary.flag("normalizer.lowercase") else None,
        pre_tokenizer=pre_tokenizers.Whitespace(),
        add_bos=vocabulary.flag("add_bos_token") or False,
        add_eos=vocabulary.flag("add_eos_token") or False,
        add_sep=vocabulary.flag("add_sep_token") or False,
    )
