"""What a tokenizer takes from a file, whatever its kind."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from small_vocabularies import CONTROL, NORMAL, USER_DEFINED, bpe, spm

from farthing.errors import ModelFileError, RequestError, UnsupportedModelError
from farthing.tokenization import Tokenizer


def test_importing_loads_neither_tokenizers_nor_jinja() -> None:
    code = (
        "import sys, farthing, farthing.tokenization, farthing.chat;"
        "print({'tokenizers', 'jinja2'} & set(sys.modules))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "set()"


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(UnsupportedModelError, match=r"'morse'.*bert, gemma4, gpt2, llama"):
        Tokenizer.from_metadata({"tokenizer.ggml.model": "morse"})


@pytest.mark.parametrize("fields", [{}, {"tokenizer.ggml.model": "none"}])
def test_no_vocabulary(fields: dict[str, str]) -> None:
    with pytest.raises(ModelFileError, match="no vocabulary"):
        Tokenizer.from_metadata(fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokenizer.ggml.tokens": []}, "tokens is missing or empty"),
        ({"tokenizer.ggml.tokens": "abc"}, "tokens is a str, not an array"),
        ({"tokenizer.ggml.tokens": ["a", 5]}, r"tokens\[1\] is a int"),
        ({"tokenizer.ggml.scores": [0.0]}, "scores has 1 entries, .*tokens has 273"),
        ({"tokenizer.ggml.token_type": [1, 1]}, "token_type has 2 entries, .*tokens has 273"),
    ],
)
def test_arrays_that_contradict(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        Tokenizer.from_metadata({**spm(), **fields})


def test_an_id_outside_the_vocabulary_is_ignored_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        tokenizer = Tokenizer.from_metadata(spm(eos_token_id=999, padding_token_id=4000))
    assert (tokenizer.eos_id, tokenizer.pad_id) == (2, None)
    assert "eos_token_id is 999, the vocabulary has 273 tokens" in caplog.text


def test_ids_that_the_file_names() -> None:
    tokenizer = Tokenizer.from_metadata(spm(bos_token_id=2, eos_token_id=1, padding_token_id=0))
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (2, 1, 0)
    assert tokenizer.n_vocab == 273
    assert tokenizer.encode("a")[0] == 2


def test_ends_of_generation() -> None:
    extra = [
        ("<|im_end|>", NORMAL),  # a converter's mistake
        ("<|endoftext|>", CONTROL),
        ("</s>", NORMAL),  # HTML
        ("<|im_start|>", CONTROL),
        ("<|eom_id|>", CONTROL),
    ]
    tokenizer = Tokenizer.from_metadata(bpe(extra=extra, eos_token_id=262))
    assert [tokenizer.token_text(i) for i in sorted(tokenizer.eog_ids)] == [
        "<|im_end|>",
        "<|endoftext|>",
        "<|eom_id|>",
    ]
    assert tokenizer.eot_id == 261
    assert tokenizer.eom_id == 265
    assert tokenizer.encode("<|im_end|>", parse_special=True) == [261]
    assert 261 not in tokenizer.encode("<|im_end|>")


def test_in_harmony_an_end_is_not_the_end() -> None:
    extra = [(text, CONTROL) for text in ("<|end|>", "<|return|>", "<|call|>")]
    tokenizer = Tokenizer.from_metadata(bpe(extra=extra, eos_token_id=262))
    assert {tokenizer.token_text(i) for i in tokenizer.eog_ids} == {"<|return|>", "<|call|>"}


def test_a_prompt_never_begins_with_two_bos() -> None:
    tokenizer = Tokenizer.from_metadata(spm())
    assert tokenizer.encode_prompt("<s>a") == tokenizer.encode_prompt("a") == [1, 259, 260]
    assert tokenizer.encode_prompt("<s><s>a")[:3] == [1, 1, 259]
    assert tokenizer.encode_prompt("") == [1]


def test_hf_agrees() -> None:
    tokenizer = Tokenizer.from_metadata(spm(add_eos_token=True))
    text = "<s>hello</s> ab"
    assert tokenizer.hf.encode(text).ids == tokenizer.encode(text, parse_special=True)
    plain = tokenizer.encode("hello é")
    assert tokenizer.hf.decode(plain) == tokenizer.decode(plain) == "hello é"


def test_hf_begins_with_bos_whatever_its_text() -> None:
    extra = [("<|my:$A bos|>", CONTROL)]
    tokenizer = Tokenizer.from_metadata(bpe(extra=extra, bos_token_id=261, add_bos_token=True))
    assert tokenizer.hf.encode("a").ids == tokenizer.encode("a") == [261, ord("a")]


def test_user_defined_tokens_are_matched_and_written() -> None:
    tokenizer = Tokenizer.from_metadata(bpe(extra=[("<think>", USER_DEFINED)]))
    ids = tokenizer.encode("a<think>b")
    assert ids == [ord("a"), 261, ord("b")]
    assert tokenizer.decode(ids) == "a<think>b"


def test_tokens_that_are_not_utf8() -> None:
    metadata = bpe()
    metadata["tokenizer.ggml.tokens"].append(b"\xff\xfe")
    metadata["tokenizer.ggml.token_type"].append(NORMAL)
    tokenizer = Tokenizer.from_metadata(metadata)
    assert tokenizer.token_bytes(261) == b"\xff\xfe"
    assert tokenizer.decode([261, ord("a")]) == "\ufffd\ufffda"


def test_equal_tokens_do_not_disturb() -> None:
    tokenizer = Tokenizer.from_metadata(bpe(extra=[("hello", NORMAL)]))
    assert tokenizer.decode([259]) == tokenizer.decode([261]) == "hello"
    assert tokenizer.encode("hello") == [261]


@pytest.mark.parametrize("token_id", [-1, 273])
def test_ids_outside_the_vocabulary(token_id: int) -> None:
    tokenizer = Tokenizer.from_metadata(spm())
    with pytest.raises(RequestError, match=f"token id {token_id} .* 273 tokens"):
        tokenizer.decode([token_id])


def test_a_lone_surrogate_is_not_text() -> None:
    with pytest.raises(RequestError, match=r"lone surrogate, U\+D83D, at 1"):
        Tokenizer.from_metadata(spm()).encode("a\ud83d")


def test_bytes_are_not_text() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        Tokenizer.from_metadata(spm()).encode(b"a")  # type: ignore[arg-type]
