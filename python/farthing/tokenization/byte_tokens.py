"""What the bytes of a token are, for vocabularies written like SentencePiece's."""

from __future__ import annotations

import re
from collections.abc import Callable

from farthing.tokenization.vocabulary import TokenType, Vocabulary

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def is_byte_token(vocabulary: Vocabulary, token_id: int) -> bool:
    """Whether a token stands for one byte: its text is `<0xXX>`, its type does not deny it."""
    return (
        vocabulary.types[token_id] in (TokenType.BYTE, TokenType.NORMAL)
        and _BYTE.fullmatch(vocabulary.texts[token_id]) is not None
    )


def sentencepiece_bytes(vocabulary: Vocabulary, space: str) -> Callable[[int], bytes]:
    """The function from an id to its bytes: byte tokens resolved, `space` read as a space."""

    def token_bytes(token_id: int) -> bytes:
        if token_id in vocabulary.raw:
            return vocabulary.raw[token_id]
        text = vocabulary.texts[token_id]
        if is_byte_token(vocabulary, token_id):
            return bytes.fromhex(text[3:5])
        return text.replace(space, " ").encode()

    return token_bytes
