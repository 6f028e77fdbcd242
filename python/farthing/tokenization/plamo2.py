"""PLaMo 2's vocabulary (`tokenizer.ggml.model` = "plamo2"): the best sum of the tokens' scores.

Spaces and line ends are written as they are; a character without a token becomes bytes.
"""

from __future__ import annotations

from farthing._native import TokenBytes, TokenModel
from farthing.errors import ModelFileError
from farthing.tokenization.byte_tokens import byte_ids
from farthing.tokenization.kinds import Parts
from farthing.tokenization.vocabulary import PREFIX, TokenType, Vocabulary


def build(vocabulary: Vocabulary) -> Parts:
    """Neither BOS nor EOS unless the file says so; all 256 byte tokens must be there."""
    bytes_ = byte_ids(vocabulary)
    if bytes_ is None:
        raise ModelFileError(f"{PREFIX}tokens lacks some of the byte tokens <0x00> to <0xFF>")

    return Parts(
        tokens=TokenModel.plamo2(
            vocabulary.tokens,
            vocabulary.scores,
            left_out=vocabulary.of_types([TokenType.BYTE]),
            byte_ids=bytes_,
        ),
        token_bytes=TokenBytes.pieces(vocabulary.tokens, vocabulary.types, ""),
        add_bos=vocabulary.flag("add_bos_token") or False,
        add_eos=vocabulary.flag("add_eos_token") or False,
    )
