"""Byte-level BPE vocabularies (`tokenizer.ggml.model` = "gpt2").

Text is cut by the pre-tokenizer's patterns, every byte of a piece is written as one printable
character (GPT-2's table), and neighbours are merged by `tokenizer.ggml.merges`.
"""

from __future__ import annotations

from tokenizers import Regex, decoders, normalizers, pre_tokenizers

from farthing._native import TokenBytes, TokenModel
from farthing.tokenization import gemma4, whitespace
from farthing.tokenization.kinds import Parts
from farthing.tokenization.merges import hf_bpe
from farthing.tokenization.pre_tokenizers import pre_tokenizer_of
from farthing.tokenization.vocabulary import Vocabulary


def build(vocabulary: Vocabulary) -> Parts:
    """Cut as `tokenizer.ggml.pre` says; a byte without a token is dropped."""
    row = pre_tokenizer_of(vocabulary.metadata)
    if row.tokens == "sentencepiece":
        return gemma4.build_row(vocabulary, row)
    if row.tokens == "words":
        return whitespace.build(vocabulary)
    add_bos = vocabulary.flag("add_bos_token")
    add_sep = vocabulary.flag("add_sep_token")
    space_prefix = vocabulary.flag("add_space_prefix") or False
    return Parts(
        tokens=TokenModel.bpe(
            vocabulary.tokens, vocabulary.merges(), whole_pieces=row.ignore_merges
        ),
        hf_model=lambda: hf_bpe(vocabulary, ignore_merges=row.ignore_merges),
        decoder=decoders.ByteLevel(),
        token_bytes=TokenBytes.byte_level(vocabulary.tokens, vocabulary.types),
        normalizer=normalizers.NFC() if row.nfc else None,
        pre_tokenizer=pre_tokenizers.Sequence(
            [
                *(pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in row.patterns),
                pre_tokenizers.ByteLevel(add_prefix_space=space_prefix, use_regex=False),
            ]
        ),
        space_prefix=space_prefix,
        add_bos=row.add_bos if add_bos is None else add_bos,
        add_eos=vocabulary.flag("add_eos_token") or False,
        add_sep=row.add_sep if add_sep is None else add_sep,
    )
