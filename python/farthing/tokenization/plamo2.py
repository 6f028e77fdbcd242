"""PLaMo 2's vocabulary (`tokenizer.ggml.model` = "plamo2"): the best sum of the tokens' scores.

Spaces and line ends are written as they are; a character without a token becomes bytes.
"""

from __future__ import annotations

from farthing._native import TokenModel
from farthing.errors import ModelFileError
from farthing.tokenization.byte_tokens import byte_ids, is_byte_token
from farthing.tokenization.kinds import Parts
from farthing.tokenization.vocabulary import PREFIX, TokenType, Vocabulary


def build(vocabulary: Vocabulary) -> Parts:
    """Neither BOS nor EOS unless the file says so; all 256 byte tokens must be there."""
    bytes_ = byte_ids(vocabulary)
    if bytes_ is None:
        raise ModelFileError(f"{PREFIX}tokens lacks some of the byte tokens <0x00> to <0xFF>")

    def token_bytes(token_id: int) -> bytes:
        if is_byte_token(vocabulary, token_id):
            return bytes.fromhex(vocabulary.text(token_id)[3:5])
        return vocabulary.raw(token_id)

    return Parts(
        tokens=TokenModel.plamo2(
            vocabulary.tokens,
            vocabulary.scores,
            left_out=vocabulary.of_types([TokenType.BYTE]),
            byte_ids=bytes_,
        ),
        token_bytes=token_bytes,
        add_bos=vocabulary.flag("add_bos_token") or False,
        add_eos=vocabulary.flag("add_eos_token") or False,
    )
