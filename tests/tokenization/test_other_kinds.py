"""Unigram, RWKV, PLaMo 2, Gemma 4 and whitespace vocabularies."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from small_vocabularies import CONTROL, NORMAL, plamo2, rwkv, sentencepiece_bpe
from vocabulary_files import write_vocabulary

from farthing.errors import ModelFileError, UnsupportedModelError
from farthing.tokenization import Tokenizer

GOLDEN = json.loads((Path(__file__).parent / "golden_small.json").read_text("utf-8"))
"""Ids of random texts: for Unigram from SentencePiece, which trained the vocabulary, for the others
from llama.cpp."""


def unigram(**fields: Any) -> dict[str, Any]:
    """The vocabulary of the goldens."""
    golden = GOLDEN["unigram"]
    return {
        "tokenizer.ggml.model": "t5",
        "tokenizer.ggml.tokens": golden["tokens"],
        "tokenizer.ggml.token_type": golden["types"],
        "tokenizer.ggml.scores": golden["scores"],
        "tokenizer.ggml.precompiled_charsmap": list(base64.b64decode(golden["charsmap"])),
        "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.remove_extra_whitespaces": True,
        **{f"tokenizer.ggml.{name}": value for name, value in fields.items()},
    }


VOCABULARIES = {
    "unigram": unigram,
    "rwkv": rwkv,
    "plamo2": plamo2,
    "gemma4": sentencepiece_bpe,
    "sarvam-moe": lambda: sentencepiece_bpe("sarvam-moe"),
}


def texts(tokenizer: Tokenizer, text: str) -> list[str]:
    """The tokens of a text, as the file writes them."""
    return [tokenizer.token_text(i) for i in tokenizer.encode(text, add_special=False)]


@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_of_random_texts(name: str) -> None:
    tokenizer = Tokenizer.from_metadata(VOCABULARIES[name]())
    for text, ids in GOLDEN[name]["rows"]:
        assert tokenizer.encode(text, add_special=False) == ids, ascii(text)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_file_gives_the_same(name: str, tmp_path: Path) -> None:
    metadata = VOCABULARIES[name]()
    write_vocabulary(tmp_path / "vocabulary.gguf", metadata)
    tokenizers = (
        Tokenizer.from_gguf(tmp_path / "vocabulary.gguf"),
        Tokenizer.from_metadata(metadata),
    )
    for text, _ in GOLDEN[name]["rows"][:5]:
        first, second = (tokenizer.encode(text, parse_special=True) for tokenizer in tokenizers)
        assert first == second


@pytest.mark.parametrize("name", ["rwkv", "plamo2", "gemma4"])
def test_decoding_gives_the_text_back(name: str) -> None:
    tokenizer = Tokenizer.from_metadata(VOCABULARIES[name]())
    for text, ids in GOLDEN[name]["rows"]:
        expected = text.replace("▁", " ") if name == "gemma4" else text
        # PLaMo 2 drops a byte order mark.
        assert tokenizer.decode(ids) == expected.removeprefix("\ufeff" if name == "plamo2" else "")


def test_unigram_begins_and_ends() -> None:
    tokenizer = Tokenizer.from_metadata(unigram())
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.pad_id) == (
        None,
        1,
        2,
        0,
    )
    assert tokenizer.encode("hello")[-1] == 1
    assert Tokenizer.from_metadata(unigram(add_eos_token=False)).encode("")[-1:] == []
    assert tokenizer.decode(tokenizer.encode(" ｈｅｌｌｏ  the\n")) == "hello the"


def test_unigram_as_a_tokenizers_object() -> None:
    tokenizer = Tokenizer.from_metadata(unigram())
    for text in ("hello world", " ｈｅｌｌｏ  the\tworld ", "世 naïve"):
        assert tokenizer.hf.encode(text).ids == tokenizer.encode(text)


def test_a_character_after_a_replaced_one_stays() -> None:
    # U+05B4 is a mark on the character before it, which the table replaces.
    tokenizer = Tokenizer.from_metadata(unigram())
    assert tokenizer.encode("½\u05b4", add_special=False)[-1] == tokenizer.unk_id


def test_a_broken_charsmap() -> None:
    with pytest.raises(ModelFileError, match="precompiled_charsmap is broken"):
        Tokenizer.from_metadata(unigram(precompiled_charsmap=[255, 0, 0, 0, 1, 2]))


def test_rwkv_takes_the_longest_bytes() -> None:
    tokenizer = Tokenizer.from_metadata(rwkv())
    assert texts(tokenizer, " hello's\n\n") == [" hello", "'s", "\\n\\n"]
    assert texts(tokenizer, "abé") == ["ab\\xc3", "\\xa9"]
    assert texts(tokenizer, r"\n") == [r"\\n"]
    assert texts(tokenizer, "<s>") == ["<", "s", ">"]
    assert tokenizer.encode("<s>", parse_special=True) == [0]


def test_plamo2_prefers_the_best_sum() -> None:
    tokenizer = Tokenizer.from_metadata(plamo2())
    assert texts(tokenizer, "abc") == ["a", "bc"]
    assert texts(tokenizer, "\ufeffhello 界") == ["hello", " ", "<0xE7>", "<0x95>", "<0x8C>"]


def test_plamo2_needs_every_byte() -> None:
    metadata = plamo2()
    metadata["tokenizer.ggml.tokens"][5] = "<0x0>"
    with pytest.raises(ModelFileError, match="lacks some of the byte tokens"):
        Tokenizer.from_metadata(metadata)


@pytest.mark.parametrize("name", ["rwkv", "plamo2"])
def test_what_tokenizers_does_not_have(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="no model for this kind"):
        _ = Tokenizer.from_metadata(VOCABULARIES[name]()).hf


def test_gemma4_always_begins_with_bos() -> None:
    denied = sentencepiece_bpe(add_bos_token=False)
    assert Tokenizer.from_metadata(denied).encode("") == [2]
    assert Tokenizer.from_metadata(sentencepiece_bpe("sarvam-moe")).encode("") == []


@pytest.mark.parametrize("lowercase", [False, True])
def test_words_without_spaces(lowercase: bool) -> None:
    tokens = ["<s>", "</s>", "<unk>", *"helo,wHE", "he", "ll", "hell", "hello", "世"]
    metadata = {
        "tokenizer.ggml.model": "whitespace",
        "tokenizer.ggml.pre": "whitespace",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL] * 3 + [NORMAL] * (len(tokens) - 3),
        "tokenizer.ggml.merges": ["h e", "l l", "he ll", "hell o"],
        "tokenizer.ggml.unknown_token_id": 2,
        "tokenizer.ggml.normalizer.lowercase": lowercase,
    }
    tokenizer = Tokenizer.from_metadata(metadata)
    expected = ["hello"] if lowercase else ["H", "E", "ll", "o"]
    assert texts(tokenizer, "  HEllo, hello世x") == [
        *expected,
        ",",
        "hello",
        "世",
        "<unk>",
    ]
