"""Ids and texts of published vocabularies, against llama.cpp and the models' own tokenizers."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.tokenization import Tokenizer

EXACT_TEXT = ["llama-spm", "phi-3", "qwen2", "deepseek-llm"]
"""Vocabularies whose texts llama.cpp leaves as they are."""
TIDIED_TEXT = ["gpt-2", "llama-bpe", "starcoder", "falcon", "gemma-4"]
"""Vocabularies where llama.cpp drops the space before punctuation; decoding here is exact."""
VOCABULARIES = [*EXACT_TEXT, *TIDIED_TEXT, "bert-bge"]
MODELS = ["stories260K-f32", "tinystories-656k-f32", "zh-poem-750k-f32", "aidreams260k-f32"]

SEPARATOR = "\n__ggml_vocab_test__\n"


@cache
def tokenizer_of(path: Path) -> Tokenizer:
    return Tokenizer.from_gguf(path)


@pytest.fixture(scope="module")
def golden(data: Path) -> dict:
    return json.loads((data / "vocab/golden-extra.json").read_text("utf-8"))


@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_of_the_vocabulary_tests(name: str, data: Path) -> None:
    path = data / f"vocab/ggml-vocab-{name}.gguf"
    tokenizer = tokenizer_of(path)
    texts = path.with_suffix(".gguf.inp").read_bytes().decode().split(SEPARATOR)
    expected = path.with_suffix(".gguf.out").read_text().splitlines()
    assert len(expected) in (len(texts), len(texts) - 1)
    for text, line in zip(texts, expected, strict=False):
        assert tokenizer.encode(text, add_special=False) == [int(i) for i in line.split()], text


@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_of_many_texts(name: str, data: Path, golden: dict) -> None:
    file = f"ggml-vocab-{name}.gguf"
    tokenizer = tokenizer_of(data / "vocab" / file)
    for row in golden["vocabs"][file]["rows"]:
        text = golden["texts"][row["i"]]
        assert tokenizer.encode(text, add_special=False) == row["plain"], text
        assert tokenizer.encode(text, parse_special=True) == row["special"], text
        assert tokenizer.hf.encode(text).ids == row["special"], text


@pytest.mark.parametrize("name", VOCABULARIES)
def test_pieces_of_many_texts(name: str, data: Path, golden: dict) -> None:
    file = f"ggml-vocab-{name}.gguf"
    tokenizer = tokenizer_of(data / "vocab" / file)
    for row in golden["vocabs"][file]["rows"]:
        detokenizer = tokenizer.detokenizer(skip_special=False)
        pieces = [*map(detokenizer.push, row["plain"]), detokenizer.flush()]
        assert "".join(pieces) == row["plain_pieces"]


@pytest.mark.parametrize("name", EXACT_TEXT)
def test_decoding_of_many_texts(name: str, data: Path, golden: dict) -> None:
    file = f"ggml-vocab-{name}.gguf"
    tokenizer = tokenizer_of(data / "vocab" / file)
    for row in golden["vocabs"][file]["rows"]:
        assert tokenizer.decode(row["plain"], skip_special=False) == row["plain_text"]
        assert tokenizer.decode(row["special"], skip_special=False) == row["special_text"]


@pytest.mark.parametrize("name", [*EXACT_TEXT, *TIDIED_TEXT])
def test_decoding_gives_the_text_back(name: str, data: Path, golden: dict) -> None:
    file = f"ggml-vocab-{name}.gguf"
    tokenizer = tokenizer_of(data / "vocab" / file)
    space = "▁" if tokenizer.hf.normalizer is not None and name != "qwen2" else " "
    for row in golden["vocabs"][file]["rows"]:
        text = golden["texts"][row["i"]]
        assert tokenizer.decode(row["plain"]) == text.replace(space, " ")


@pytest.mark.parametrize("name", VOCABULARIES)
def test_begin_and_end(name: str, data: Path, golden: dict) -> None:
    file = f"ggml-vocab-{name}.gguf"
    tokenizer = tokenizer_of(data / "vocab" / file)
    expected = golden["vocabs"][file]
    assert tokenizer.bos_id == expected["bos"]
    assert tokenizer.eos_id == (None if expected["eos"] < 0 else expected["eos"])
    assert tokenizer.add_bos == expected["add_bos"]
    assert tokenizer.add_eos == (expected["add_eos"] or expected["add_sep"])


@pytest.mark.parametrize("model", MODELS)
def test_prompts_of_models(model: str, data: Path) -> None:
    rows = json.loads((data / "models/golden.json").read_text("utf-8"))["models"][f"{model}.gguf"]
    tokenizer = tokenizer_of(data / f"models/{model}.gguf")
    for row in rows:
        assert tokenizer.encode(row["prompt"]) == row["ids"]
        detokenizer = tokenizer.detokenizer()
        text = "".join([*map(detokenizer.push, row["greedy"]), detokenizer.flush()])
        assert text == row["text"]


def test_sentences_of_a_bert_model(data: Path) -> None:
    rows = json.loads((data / "models/golden.json").read_text("utf-8"))["models"]
    tokenizer = tokenizer_of(data / "models/all-minilm-l6-v2-f16.gguf")
    for row in rows["all-minilm-l6-v2-f16.gguf"]:
        assert tokenizer.encode(row["text"]) == row["ids"]


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=40, deadline=None)
@given(seed=st.data())
def test_a_stream_of_any_tokens_joins_to_the_whole(
    name: str, data: Path, seed: st.DataObject
) -> None:
    tokenizer = tokenizer_of(data / f"vocab/ggml-vocab-{name}.gguf")
    ids = seed.draw(st.lists(st.integers(0, tokenizer.n_vocab - 1), max_size=30))
    ids += tokenizer.encode(seed.draw(st.text(max_size=10)))
    skip_special = seed.draw(st.booleans())
    detokenizer = tokenizer.detokenizer(skip_special=skip_special)
    pieces = [*map(detokenizer.push, ids), detokenizer.flush()]
    kept = [i for i in ids if not (skip_special and i in tokenizer.special_ids)]
    raw = b"".join(map(tokenizer.token_bytes, kept))
    assert "".join(pieces) == raw.decode("utf-8", "replace")
    assert "".join(pieces) == tokenizer.decode(ids, skip_special, continuation=True)
