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


def rwkv(tokens: list[bytes] | None = None, **fields: Any) -> dict[str, Any]:
    """RWKV: `<s>`, the 256 bytes, then `tokens`, which may end within a character."""
    longer = [
        b"he",
        b"hello",
        b" hello",
        b"\n\n",
        b"'s",
        b"\\n",
        "é".encode(),
        b"\xe4\xb8",
        b"ab\xc3",
    ]
    tokens = [bytes([byte]) for byte in range(256)] + (longer if tokens is None else tokens)
    return {
        "tokenizer.ggml.model": "rwkv",
        "tokenizer.ggml.tokens": ["<s>", *(repr(token)[2:-1] for token in tokens)],
        "tokenizer.ggml.token_type": [CONTROL] + [NORMAL] * len(tokens),
        **{f"tokenizer.ggml.{name}": value for name, value in fields.items()},
    }


def plamo2(**fields: Any) -> dict[str, Any]:
    """PLaMo 2: control tokens, bytes, and pieces whose best sum is not the greedy choice."""
    pieces = {
        " ": -3.0, "a": -4.0, "b": -4.0, "c": -4.0, "h": -5.0, "e": -4.0, "l": -4.0, "o": -4.0,
        "ab": -5.0, "bc": -4.5, "abc": -9.0, "he": -6.0, "llo": -7.0, "hello": -9.5, " hello": -9.0,
        "\n": -4.0, "\n\n": -6.0, "世界": -9.0, "世": -8.0, "aa": -6.5, "aaa": -10.5,
    }  # fmt: skip
    control = ["<|plamo:unk|>", "<|plamo:bos|>", "<|plamo:eos|>", "<|plamo:pad|>", "<|plamo:op|>"]
    tokens = [(text, UNKNOWN if place == 0 else CONTROL, 0.0) for place, text in enumerate(control)]
    tokens += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    tokens += [(text, NORMAL, score) for text, score in pieces.items()]
    return {
        "tokenizer.ggml.model": "plamo2",
        "tokenizer.ggml.tokens": [text for text, _, _ in tokens],
        "tokenizer.ggml.token_type": [kind for _, kind, _ in tokens],
        "tokenizer.ggml.scores": [score for _, _, score in tokens],
        **{f"tokenizer.ggml.{name}": value for name, value in fields.items()},
    }


def sentencepiece_bpe(pre: str = "gemma4", **fields: Any) -> dict[str, Any]:
    """BPE by listed merges over characters, spaces written as U+2581, with byte tokens."""
    merges = ["l l", "h e", "he ll", "hell o", "▁ hello", "▁ ▁", "\\n \\n"]
    merges = [merge.replace("\\n", "\n") for merge in merges]
    tokens = [("<pad>", CONTROL), ("<eos>", CONTROL), ("<bos>", CONTROL), ("<unk>", UNKNOWN)]
    tokens += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    tokens += [(character, NORMAL) for character in "▁helo\nabc.,世"]
    tokens += [(merge.replace(" ", ""), NORMAL) for merge in merges]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [text for text, _ in tokens],
        "tokenizer.ggml.token_type": [kind for _, kind in tokens],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 3,
        **{f"tokenizer.ggml.{name}": value for name, value in fields.items()},
    }
