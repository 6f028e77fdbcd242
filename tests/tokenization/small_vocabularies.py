"""Vocabularies of a few tokens, as GGUF metadata."""

from __future__ import annotations

from typing import Any

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

SPM_PIECES = ["▁", "a", "b", "h", "l", "o", "e", "▁h", "el", "lo", "▁hel", "▁hello", "ab", "ba"]


def spm(
    pieces: list[str] | None = None,
    *,
    scores: list[float] | None = None,
    byte_tokens: bool = True,
    extra: list[tuple[str, int]] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """SentencePiece BPE; a piece's score falls with its place unless `scores` are given."""
    pieces = SPM_PIECES if pieces is None else pieces
    tokens = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
    if byte_tokens:
        tokens += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    if scores is None:
        scores = [-float(place) for place in range(len(pieces))]
    tokens += [(piece, NORMAL, score) for piece, score in zip(pieces, scores, strict=True)]
    tokens += [(text, kind, -1000.0) for text, kind in extra or []]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [text for text, _, _ in tokens],
        "tokenizer.ggml.token_type": [kind for _, kind, _ in tokens],
        "tokenizer.ggml.scores": [score for _, _, score in tokens],
        **{f"tokenizer.ggml.{name}": value for name, value in fields.items()},
    }


def byte_characters() -> dict[int, str]:
    """GPT-2's character for every byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + len(table) - len(printable))
    return table


def bpe(
    merges: list[str] | None = None,
    *,
    extra: list[tuple[str, int]] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Byte-level BPE: the 256 bytes at their own ids, the merges' results, then `extra`."""
    merges = ["l l", "h e", "he ll", "hell o", "Ġ hello"] if merges is None else merges
    characters = byte_characters()
    tokens = [(characters[byte], NORMAL) for byte in range(256)]
    tokens += [(merge.replace(" ", ""), NORMAL) for merge in merges]
    tokens += extra or []
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": [text for text, _ in tokens],
        "tokenizer.ggml.token_type": [kind for _, kind in tokens],
        "tokenizer.ggml.merges": merges,
        **{f"tokenizer.ggml.{name}": value for name, value in fields.items()},
    }
