"""The vocabulary: byte-pair merges learned from the corpus, stored as an SPM ("llama") vocabulary.

SPM joins the neighbours whose union has the highest score, leftmost first; with minus the merge
rank as the score that repeats the merges in the order they were learned.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

SPACE = "\u2581"
BOS, EOS, START = "<s>", "<|im_end|>", "<|im_start|>"
CONTROL = (BOS, EOS, START)
MARKERS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_SPECIAL = re.compile(
    "|".join(re.escape(t) for t in sorted((*CONTROL, *MARKERS), key=len, reverse=True))
)
# No merge crosses these: a word with the space before it, one digit, a run of marks.
_CHUNK = re.compile(rf"{SPACE}?[A-Za-z_]+|[0-9]|{SPACE}?[^A-Za-z0-9_\n{SPACE}]+|{SPACE}|\n")


class Token(NamedTuple):
    text: str
    score: float
    type: int  # gguf.TokenType


NORMAL, UNKNOWN, CONTROL_TYPE, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


def _chunks(texts: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        for part in _SPECIAL.split(text):
            counts.update(_CHUNK.findall(part.replace(" ", SPACE)))
    return counts


def learn(texts: Iterable[str], size: int) -> list[Token]:
    """A vocabulary of `size` tokens: the special ones, all bytes, then merges and characters."""
    counts = _chunks(texts)
    characters = sorted(
        {c for chunk in counts for c in chunk if c.isascii() or c == SPACE} - {"\n"}
    )
    head = [Token("<unk>", 0.0, UNKNOWN), *(Token(t, 0.0, CONTROL_TYPE) for t in CONTROL)]
    head += [Token(t, 0.0, USER_DEFINED) for t in MARKERS]
    head += [Token(f"<0x{b:02X}>", 0.0, BYTE) for b in range(256)]
    words = [(list(chunk), n) for chunk, n in sorted(counts.items())]
    merges: dict[str, None] = {}  # two pairs may join to the same text
    while len(head) + len(merges) + len(characters) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for pieces, n in words:
            for pair in zip(pieces, pieces[1:], strict=False):
                pairs[pair] += n
        left, right = max(pairs, key=lambda p: (pairs[p], p))
        merges[left + right] = None
        for pieces, _ in words:
            i = 0
            while i < len(pieces) - 1:
                if pieces[i] == left and pieces[i + 1] == right:
                    pieces[i : i + 2] = [left + right]
                i += 1
    body = [*merges, *characters]
    return head + [Token(t, -float(rank), NORMAL) for rank, t in enumerate(body)]


class Encoder:
    """Text to ids as llama.cpp does it for the tokenizer model "llama" without a space prefix."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.ids = {t.text: i for i, t in enumerate(tokens)}
        self.chunk = lru_cache(maxsize=100_000)(self._chunk)

    def _chunk(self, text: str) -> tuple[int, ...]:
        pieces = list(text)
        while True:
            best, at = -1e9, -1
            for i in range(len(pieces) - 1):
                token = self.ids.get(pieces[i] + pieces[i + 1])
                if token is not None and self.tokens[token].score > best:
                    best, at = self.tokens[token].score, i
            if at < 0:
                break
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        ids: list[int] = []
        for piece in pieces:
            if piece in self.ids:
                ids.append(self.ids[piece])
            else:
                ids += [self.ids[f"<0x{b:02X}>"] for b in piece.encode()]
        return tuple(ids)

    def encode(self, text: str, bos: bool = True, whole: bool = False) -> list[int]:
        """Ids of `text`; special tokens are recognised. `whole` merges without cutting at words
        first, which must give the same ids because no token crosses a cut."""
        ids = [self.ids[BOS]] if bos else []
        at = 0
        for match in [*_SPECIAL.finditer(text), None]:
            part = text[at : match.start() if match else len(text)].replace(" ", SPACE)
            for chunk in [part] if whole else _CHUNK.findall(part):
                ids += self.chunk(chunk)
            if match:
                ids.append(self.ids[match.group()])
                at = match.end()
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`, control tokens written out."""
        out = bytearray()
        for i in ids:
            token = self.tokens[i]
            out += bytes([int(token.text[3:5], 16)]) if token.type == BYTE else token.text.encode()
        return out.decode(errors="replace").replace(SPACE, " ")


def save(tokens: list[Token], path: Path) -> None:
    path.write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")


def load(path: Path) -> list[Token]:
    return [Token(*row) for row in json.loads(path.read_text(encoding="utf-8"))]
