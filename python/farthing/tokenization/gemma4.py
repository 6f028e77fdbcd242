"""Gemma 4's vocabulary (`tokenizer.ggml.model` = "gemma4", or "gpt2" with a like pre-tokenizer).

BPE with listed merges as in GPT-2, over characters with byte tokens as in SentencePiece.
"""

from __future__ import annotations

from tokenizers import Regex, decoders, normalizers, pre_tokenizers

from farthing._native import TokenBytes, TokenModel
from farthing.tokenization.byte_tokens import byte_ids
from farthing.tokenization.kinds import Parts
from farthing.tokenization.merges import hf_bpe
from farthing.tokenization.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer
from farthing.tokenization.spm import SPACE
from farthing.tokenization.vocabulary import Vocabulary


def build(vocabulary: Vocabulary) -> Parts:
    """Lines and runs of line ends are merged each for itself; BOS always."""
    return build_row(vocabulary, PRE_TOKENIZERS["gemma4"])


def build_row(vocabulary: Vocabulary, row: PreTokenizer) -> Parts:
    """The same, cut by a row of the table of pre-tokenizers."""
    unknown = vocabulary.token_id("unknown")
    bytes_ = byte_ids(vocabulary)
    return Parts(
        tokens=TokenModel.bpe(
            vocabulary.tokens, vocabulary.merges(), byte_ids=bytes_, unknown=unknown
        ),
        hf_model=lambda: hf_bpe(
            vocabulary,
            unk_token=None if unknown is None else vocabulary.text(unknown),
            byte_fallback=bytes_ is not None,
        ),
        decoder=decoders.Sequence(
            [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        ),
        token_bytes=TokenBytes.pieces(vocabulary.tokens, vocabulary.types, SPACE),
        normalizer=normalizers.Replace(" ", SPACE),
        pre_tokenizer=pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in row.patterns]
        ),
        add_bos=row.always_bos or vocabulary.flag("add_bos_token") or False,
        add_eos=vocabulary.flag("add_eos_token") or False,
    )
