"""Gemma 4's vocabulary (`tokenizer.ggml.model` = "gemma4").

BPE with listed merges as in GPT-2, over characters with byte tokens as in SentencePiece.
"""

from __future__ import annotations

from tokenizers import Regex, decoders, normalizers, pre_tokenizers

from farthing.tokenization.bpe import bpe_model
from farthing.tokenization.byte_tokens import sentencepiece_bytes
from farthing.tokenization.kinds import Parts
from farthing.tokenization.spm import SPACE
from farthing.tokenization.vocabulary import Vocabulary


def build(vocabulary: Vocabulary) -> Parts:
    """Lines and runs of line ends are merged each for itself; BOS always."""
    unknown = vocabulary.token_id("unknown")
    return Parts(
        model=bpe_model(
            vocabulary,
            unk_token=None if unknown is None else vocabulary.texts[unknown],
            byte_fallback=True,
        ),
        decoder=decoders.Sequence(
            [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        ),
        token_bytes=sentencepiece_bytes(vocabulary, SPACE),
        normalizer=normalizers.Replace(" ", SPACE),
        pre_tokenizer=pre_tokenizers.Split(Regex(r"[^\n]+|\n+"), "isolated"),
        add_bos=True,
        add_eos=vocabulary.flag("add_eos_token") or False,
    )
