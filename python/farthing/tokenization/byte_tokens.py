"""The tokens that stand for one byte, in vocabularies written like SentencePiece's."""

from __future__ import annotations

import re

from farthing.tokenization.vocabulary import TokenType, Vocabulary

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def is_byte_token(vocabulary: Vocabulary, token_id: int) -> bool:
    """Whether a token stands for one byte: its text is `<0xXX>`, its type does not deny it."""
    return (
        vocabulary.type_of(token_id) in (TokenType.BYTE, TokenType.NORMAL)
        and _BYTE.fullmatch(vocabulary.text(token_id)) is not None
    )


def byte_ids(vocabulary: Vocabulary) -> list[int] | None:
    """The tokens of the bytes 0 to 255; None unless all are there."""
    texts = [f"<0x{byte:02X}>" for byte in range(256)]
    found = vocabulary.find(texts)
    ids = [found[text] for text in texts if text in found]
    return ids if len(ids) == 256 and all(is_byte_token(vocabulary, i) for i in ids) else None
