"""Byte-level BPE."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_vocabularies import CONTROL, NORMAL, USER_DEFINED, bpe

from farthing.errors import ModelFileError
from farthing.tokenization import Tokenizer


def texts(tokenizer: Tokenizer, text: str, **options: bool) -> list[str]:
    """The tokens of a text, as the file writes them."""
    ids = tokenizer.encode(text, add_special=False, **options)
    return [tokenizer.token_text(token_id) for token_id in ids]


def test_merges_by_rank() -> None:
    tokenizer = Tokenizer.from_metadata(bpe())
    assert texts(tokenizer, "hello hello") == ["hello", "Ġhello"]
    assert texts(tokenizer, "hell\no") == ["hell", "Ċ", "o"]
    reordered = Tokenizer.from_metadata(bpe(["h e", "e l", "he l"]))
    assert texts(reordered, "hell") == ["hel", "l"]


def test_bytes_have_their_own_tokens() -> None:
    tokenizer = Tokenizer.from_metadata(bpe())
    assert tokenizer.encode("é\x00", add_special=False) == [0xC3, 0xA9, 0]
    assert tokenizer.token_bytes(0xC3) == b"\xc3"


def test_no_bos_unless_the_file_or_the_pre_tokenizer_says_so() -> None:
    extra = [("<|begin|>", CONTROL)]
    plain = bpe(extra=extra, bos_token_id=261)
    assert Tokenizer.from_metadata(plain).encode("l") == [ord("l")]
    assert Tokenizer.from_metadata(bpe(extra=extra, bos_token_id=261, add_bos_token=True)).encode(
        "l"
    ) == [261, ord("l")]
    implied = bpe(extra=extra, bos_token_id=261, pre="llama-bpe")
    assert Tokenizer.from_metadata(implied).encode("l") == [261, ord("l")]
    denied = bpe(extra=extra, bos_token_id=261, pre="llama-bpe", add_bos_token=False)
    assert Tokenizer.from_metadata(denied).encode("l") == [ord("l")]


def test_ignore_merges_takes_whole_pieces() -> None:
    # "abc" cannot be reached by merges.
    metadata = bpe(["b c"], extra=[("abc", NORMAL)])
    assert texts(Tokenizer.from_metadata(metadata), "abc") == ["a", "bc"]
    whole = Tokenizer.from_metadata({**metadata, "tokenizer.ggml.pre": "llama-bpe"})
    assert texts(whole, "abc") == ["abc"]


def test_added_tokens_are_plain_text() -> None:
    # "ö" would be the byte 0xF6 in GPT-2's table.
    metadata = bpe(extra=[("öl", USER_DEFINED), ("<|im_end|>", CONTROL)])
    tokenizer = Tokenizer.from_metadata(metadata)
    assert texts(tokenizer, "höl<|im_end|>")[:2] == ["h", "öl"]
    assert tokenizer.decode(tokenizer.encode("höl")) == "höl"
    assert texts(tokenizer, "h<|im_end|>", parse_special=True) == ["h", "<|im_end|>"]


@pytest.mark.parametrize("pre", [None, "no-such-name"])
def test_an_unknown_pre_tokenizer_is_a_loud_warning(
    pre: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = bpe(pre=pre)
    with caplog.at_level(logging.WARNING):
        tokenizer = Tokenizer.from_metadata(metadata)
    assert "tokenizer.ggml.pre" in caplog.text
    assert pre is None or pre in caplog.text
    assert texts(tokenizer, "hello") == ["hello"]


def test_merges_of_what_is_no_token_are_left_out() -> None:
    metadata = bpe()
    metadata["tokenizer.ggml.merges"] = [*metadata["tokenizer.ggml.merges"], "x y", "zz l"]
    assert texts(Tokenizer.from_metadata(metadata), "hello xy") == ["hello", "Ġ", "x", "y"]


@pytest.mark.parametrize("merges", [None, []])
def test_missing_merges(merges: list[str] | None) -> None:
    metadata = bpe()
    metadata["tokenizer.ggml.merges"] = merges
    with pytest.raises(ModelFileError, match="tokenizer.ggml.merges is missing"):
        Tokenizer.from_metadata(metadata)


def test_a_merge_without_two_halves() -> None:
    with pytest.raises(ModelFileError, match=r"merges\[1\] is 'hello'"):
        Tokenizer.from_metadata({**bpe(), "tokenizer.ggml.merges": ["l l", "hello"]})


@pytest.mark.parametrize(("pre", "expected"), [("gpt-2", ["e", "Ì", "ģ"]), ("qwen2", ["Ã", "©"])])
def test_normal_form_where_the_model_was_trained_with_it(pre: str, expected: list[str]) -> None:
    assert texts(Tokenizer.from_metadata(bpe(pre=pre)), "e\u0301") == expected


@given(st.text())
def test_round_trip(text: str) -> None:
    assert ROUND_TRIP.decode(ROUND_TRIP.encode(text)) == text


ROUND_TRIP = Tokenizer.from_metadata(bpe())
