r"""RWKV's vocabulary (`tokenizer.ggml.model` = "rwkv"): at each place the longest token, of bytes.

Files write the bytes of a token as Python does within quotes: `\n`, `\'`, `\xe4`.
"""

from __future__ import annotations

import re

from farthing._native import TokenBytes, TokenModel
from farthing.tokenization.kinds import Parts
from farthing.tokenization.vocabulary import SPECIAL_TYPES, TokenType, Vocabulary

_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SHORT = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}


def build(vocabulary: Vocabulary) -> Parts:
    """Neither BOS nor EOS unless the file says so; a byte without a token becomes the unknown."""
    tokens = [
        _unescaped(token.encode() if isinstance(token, str) else token)
        for token in vocabulary.tokens.tolist()
    ]
    return Parts(
        tokens=TokenModel.longest(
            tokens,
            left_out=vocabulary.of_types(SPECIAL_TYPES | {TokenType.UNUSED}),
            unknown=vocabulary.token_id("unknown"),
        ),
        token_bytes=TokenBytes.plain(tokens),
        add_bos=vocabulary.flag("add_bos_token") or False,
        add_eos=vocabulary.flag("add_eos_token") or False,
    )


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(_meaning, text)


def _meaning(escape: re.Match[bytes]) -> bytes:
    code, character = escape.groups()
    return bytes.fromhex(code.decode()) if code else _SHORT.get(character, character)
