"""Text from ids, one at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_vocabularies import CONTROL, bpe, plamo2, rwkv, sentencepiece_bpe, spm

from farthing.tokenization import Tokenizer

TOKENIZERS = {
    "spm": Tokenizer.from_metadata(spm()),
    "bpe": Tokenizer.from_metadata(bpe(extra=[("<|im_end|>", CONTROL)])),
    "gemma4": Tokenizer.from_metadata(sentencepiece_bpe()),
    "rwkv": Tokenizer.from_metadata(rwkv()),
    "plamo2": Tokenizer.from_metadata(plamo2()),
}


def pieces(tokenizer: Tokenizer, ids: list[int], **options: bool) -> list[str]:
    """What each token gives, and what is left at the end."""
    detokenizer = tokenizer.detokenizer(**options)
    return [*map(detokenizer.push, ids), detokenizer.flush()]


def test_characters_are_not_split() -> None:
    ids = [*"é".encode(), *"🦊".encode(), ord("a")]
    assert pieces(TOKENIZERS["bpe"], ids) == ["", "é", "", "", "", "🦊", "a", ""]


def test_unfinished_and_wrong_bytes() -> None:
    assert pieces(TOKENIZERS["bpe"], [0xF0, 0x9F]) == ["", "", "\ufffd"]
    assert pieces(TOKENIZERS["bpe"], [0xF0, ord("a")]) == ["", "\ufffda", ""]
    assert pieces(TOKENIZERS["bpe"], [0xFF, ord("a")]) == ["\ufffd", "a", ""]


def test_special_tokens_are_left_out_or_written() -> None:
    tokenizer = TOKENIZERS["bpe"]
    end = tokenizer.n_vocab - 1
    assert pieces(tokenizer, [104, end, 105]) == ["h", "", "i", ""]
    assert pieces(tokenizer, [104, end, 105], skip_special=False)[1] == "<|im_end|>"


def test_a_stream_is_a_continuation() -> None:
    tokenizer = TOKENIZERS["spm"]
    ids = tokenizer.encode("hello")
    assert "".join(pieces(tokenizer, ids)) == " hello"
    assert "".join(pieces(tokenizer, ids, continuation=False)) == "hello"


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(seed=st.data())
def test_pieces_join_to_the_whole_text(kind: str, seed: st.DataObject) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = seed.draw(st.lists(st.integers(0, tokenizer.n_vocab - 1)))
    skip_special, continuation = seed.draw(st.booleans()), seed.draw(st.booleans())
    raw = b"".join(
        tokenizer.token_bytes(token_id)
        for token_id in ids
        if not (skip_special and token_id in tokenizer.special_ids)
    )
    if kind == "spm" and not continuation:
        raw = raw.removeprefix(b" ")
    whole = tokenizer.decode(ids, skip_special=skip_special, continuation=continuation)
    assert whole == raw.decode("utf-8", "replace")
    options = {"skip_special": skip_special, "continuation": continuation}
    assert "".join(pieces(tokenizer, ids, **options)) == whole


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(raw=st.binary(max_size=12))
def test_any_bytes(kind: str, raw: bytes) -> None:
    tokenizer = TOKENIZERS[kind]
    first = {"spm": 3, "bpe": 0, "gemma4": 4, "rwkv": 1, "plamo2": 5}[kind]
    got = pieces(tokenizer, [first + byte for byte in raw])
    assert "".join(got) == raw.decode("utf-8", "replace")
