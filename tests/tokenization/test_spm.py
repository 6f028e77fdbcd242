"""SentencePiece BPE."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_vocabularies import CONTROL, SPM_PIECES, USER_DEFINED, spm

from farthing.tokenization import Tokenizer


def texts(tokenizer: Tokenizer, text: str, **options: bool) -> list[str]:
    """The tokens of a text, as the file writes them."""
    ids = tokenizer.encode(text, add_special=False, **options)
    return [tokenizer.token_text(token_id) for token_id in ids]


def merge_by_score(pieces: list[str], scores: list[float], text: str) -> list[str]:
    """SentencePiece's rule, taken literally: the best neighbours first, of equals the leftmost."""
    score = dict(zip(pieces, scores, strict=True))
    symbols = list(text)
    while True:
        unions = [
            (score[left + right], -place)
            for place, (left, right) in enumerate(zip(symbols, symbols[1:], strict=False))
            if left + right in score
        ]
        if not unions:
            return symbols
        place = -max(unions)[1]
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]


def test_the_best_score_is_merged_first() -> None:
    # "ab" is better than "ba", though "ba" comes first in the text.
    assert texts(Tokenizer.from_metadata(spm()), "bab") == ["▁", "b", "ab"]
    scores = [0.0] * 12 + [-2.0, -1.0]
    assert texts(Tokenizer.from_metadata(spm(scores=scores)), "bab") == ["▁", "ba", "b"]


def test_a_token_is_found_only_through_its_parts() -> None:
    assert texts(Tokenizer.from_metadata(spm()), "hello") == ["▁hello"]
    without = [piece for piece in SPM_PIECES if piece != "lo"]
    assert texts(Tokenizer.from_metadata(spm(without)), "hello") == ["▁hel", "l", "o"]


@given(
    pieces=st.lists(st.text("ab▁", min_size=2, max_size=5), unique=True, max_size=12),
    text=st.text("ab ", min_size=1, max_size=20),
)
def test_equals_the_rule_taken_literally(pieces: list[str], text: str) -> None:
    # Shorter pieces score higher, as the parts of a token do in every trained vocabulary.
    pieces = ["▁", "a", "b", *sorted(pieces, key=len)]
    scores = [-float(place) for place in range(len(pieces))]
    tokenizer = Tokenizer.from_metadata(spm(pieces, scores=scores, add_space_prefix=False))
    known = merge_by_score(pieces, scores, text.replace(" ", "▁"))
    assert texts(tokenizer, text) == known


@pytest.mark.parametrize(("prefix", "expected"), [(True, ["▁", "a"]), (False, ["a"])])
def test_space_prefix(prefix: bool, expected: list[str]) -> None:
    tokenizer = Tokenizer.from_metadata(spm(add_space_prefix=prefix))
    assert texts(tokenizer, "a") == expected
    assert tokenizer.decode(tokenizer.encode("a")) == "a"
    assert tokenizer.decode(tokenizer.encode(" a")) == " a"


def test_a_continuation_keeps_its_space() -> None:
    tokenizer = Tokenizer.from_metadata(spm())
    ids = tokenizer.encode("hello", add_special=False)
    assert tokenizer.decode(ids) == "hello"
    assert tokenizer.decode(ids, continuation=True) == " hello"


def test_characters_without_a_token_become_bytes() -> None:
    tokenizer = Tokenizer.from_metadata(spm())
    assert texts(tokenizer, "é\n") == ["▁", "<0xC3>", "<0xA9>", "<0x0A>"]
    assert tokenizer.decode(tokenizer.encode("é\n")) == "é\n"


def test_without_byte_tokens_each_unknown_character_is_one_unknown_token() -> None:
    tokenizer = Tokenizer.from_metadata(spm(byte_tokens=False, add_space_prefix=False))
    assert texts(tokenizer, "a天地a") == ["a", "<unk>", "<unk>", "a"]
    ids = tokenizer.encode("a天a")
    assert tokenizer.decode(ids) == "aa"
    assert tokenizer.decode(ids, skip_special=False) == "<s>a<unk>a"


def test_bos_is_added_unless_the_file_says_no() -> None:
    assert Tokenizer.from_metadata(spm()).encode("a")[0] == 1
    assert Tokenizer.from_metadata(spm(add_bos_token=False)).encode("a")[0] != 1
    assert Tokenizer.from_metadata(spm(add_eos_token=True)).encode("a")[-1] == 2


def test_special_tokens_in_text() -> None:
    metadata = spm(["▁", "a", "<", "s", ">", "s>"], extra=[("<|user|>", USER_DEFINED)])
    tokenizer = Tokenizer.from_metadata(metadata)
    assert texts(tokenizer, "<s>a") == ["▁", "<", "s>", "a"]
    assert texts(tokenizer, "<s>a", parse_special=True) == ["<s>", "▁", "a"]
    # Text begins anew after a token that is matched whole, also after one that always is.
    assert texts(tokenizer, "a<|user|>a") == ["▁", "a", "<|user|>", "▁", "a"]


def test_phi3_tokens_swallow_white_space() -> None:
    metadata = spm(extra=[("<|user|>", CONTROL), ("<|endoftext|>", CONTROL)])
    ordinary = Tokenizer.from_metadata(metadata)
    phi = Tokenizer.from_metadata({**metadata, "general.name": "Phi-3.5 mini"})
    assert texts(ordinary, "<|user|> a", parse_special=True) == ["<|user|>", "▁", "▁", "a"]
    assert texts(phi, "<|user|> \na", parse_special=True) == ["<|user|>", "▁", "a"]
    assert texts(phi, "<|endoftext|> a", parse_special=True)[1:] == ["▁", "▁", "a"]


def test_a_file_without_types_has_its_named_tokens_as_special() -> None:
    metadata = spm()
    del metadata["tokenizer.ggml.token_type"]
    tokenizer = Tokenizer.from_metadata(metadata)
    assert tokenizer.special_ids == {0, 1, 2}
    assert tokenizer.decode(tokenizer.encode("é")) == "é"


@given(st.text())
def test_round_trip(text: str) -> None:
    tokenizer = ROUND_TRIP
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace("▁", " ")


ROUND_TRIP = Tokenizer.from_metadata(spm())
