"""Vocabularies in tiktoken's text form, as GPT-2's kind of GGUF vocabularies has them.

A line is a token in base64 and its rank. A rank is the token's id, and of all neighbours those are
merged first whose union has the lowest rank; GGUF lists the pairs instead.
"""

from __future__ import annotations

import base64
import binascii

_LONGEST = 512
"""Bytes of a token; bounds the work."""


def ranks(text: bytes) -> dict[bytes, int]:
    """Tokens and their ids, which are 0, 1, 2 ...; raises ValueError for anything else."""
    found: dict[bytes, int] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        token, _, rank = line.partition(b" ")
        try:
            raw = base64.b64decode(token, validate=True)
        except binascii.Error as error:
            raise ValueError(f"token {len(found)} is not base64: {token[:32]!r}") from error
        if not 1 <= len(raw) <= _LONGEST:
            raise ValueError(f"token {len(found)} has {len(raw)} bytes, must have 1 to {_LONGEST}")
        if raw in found or rank.strip() != str(len(found)).encode():
            raise ValueError(f"token {len(found)} is {raw[:32]!r} of rank {rank[:32]!r}")
        found[raw] = len(found)
    return found


def merges(found: dict[bytes, int]) -> list[str]:
    """The pair that each token is made of, in the order of the tokens."""
    pairs = []
    for token, rank in found.items():
        pair = _last_pair(token, rank, found)
        if pair:
            pairs.append(" ".join(map(spelled, pair)))
    return pairs


def _last_pair(token: bytes, rank: int, found: dict[bytes, int]) -> list[bytes] | None:
    """What a token's bytes are merged to by the tokens of lower rank, if that is two tokens."""
    parts = [token[at : at + 1] for at in range(len(token))]
    while len(parts) > 2:
        unions = (
            found.get(left + right, rank) for left, right in zip(parts, parts[1:], strict=False)
        )
        best, at = min((union, at) for at, union in enumerate(unions))
        if best >= rank:
            return None
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts if len(parts) == 2 else None


def spelled(token: bytes) -> str:
    """A token with a visible character for each byte, by GPT-2's table."""
    return token.decode("latin-1").translate(_CHARACTERS)


def _characters() -> dict[int, str]:
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(0x100 + place) for place, byte in enumerate(others)}


_CHARACTERS = _characters()
"""The bytes that are not their own character in Latin-1."""
