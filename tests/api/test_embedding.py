"""Embeddings and reranking, under threads and asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import numpy as np
import pytest
from idle import PATIENCE, given_up, long_prompt, wait_until_busy

from bert_models import CONTEXT, ID, WIDTH, TinyBert
from farthing import (
    ContextLengthError,
    FarthingError,
    Model,
    RankedDocument,
    RequestError,
    UnsupportedModelError,
)
from farthing.api.reranking import pair_ids
from models import STORY_TEXT

TEXTS = ["the red fox ran", "a cat sat", "dogs running home", "", "fox " * 30]
CLS, SEP = ID["[CLS]"], ID["[SEP]"]


@pytest.fixture(scope="module")
def bert_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyBert().write(tmp_path_factory.mktemp("models") / "bert.gguf")


@pytest.fixture(scope="module")
def bert(bert_path: Path) -> Iterator[Model]:
    with Model(bert_path) as model:
        yield model


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    tiny = TinyBert(classifier=True, pooling=gguf.PoolingType.RANK)
    with Model(tiny.write(tmp_path_factory.mktemp("models") / "reranker.gguf")) as model:
        yield model


def test_texts_and_ids(bert: Model) -> None:
    vectors = bert.embed(TEXTS)
    assert isinstance(vectors, np.ndarray)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), WIDTH), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    ids = [bert.tokenizer.encode(text) for text in TEXTS]
    assert ids[1] == [CLS, ID["a"], ID["cat"], ID["sat"], SEP]
    assert np.array_equal(bert.embed(ids), vectors)
    assert np.array_equal(bert.embed(tuple(i) for i in ids), vectors)
    assert np.array_equal(np.concatenate([bert.embed([text]) for text in TEXTS]), vectors)


def test_poolings(bert: Model, tmp_path: Path) -> None:
    tokens = bert.embed(TEXTS, "none")
    assert isinstance(tokens, list)
    assert [len(text) for text in tokens] == [len(bert.tokenizer.encode(text)) for text in TEXTS]
    expected = {
        "cls": [text[0] for text in tokens],
        "last": [text[-1] for text in tokens],
        "mean": [text.mean(axis=0) for text in tokens],
    }
    for pooling, rows in expected.items():
        found = bert.embed(TEXTS, pooling, normalize=False)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, rows, atol=1e-5)
    assert np.array_equal(bert.embed(TEXTS), bert.embed(TEXTS, "mean"))
    path = TinyBert(pooling=gguf.PoolingType.CLS).write(tmp_path / "cls.gguf")
    with Model(path) as model:
        assert model.info["pooling"] == "cls"
        assert np.array_equal(model.embed(TEXTS), bert.embed(TEXTS, "cls"))


def test_a_model_that_generates_makes_embeddings_too(story: Model) -> None:
    texts = ["Once upon a time", "the cat", "the cat found"]
    tokens = story.embed(texts, "none")
    last = story.embed(texts, "last", normalize=False)
    assert np.array_equal(last, [text[-1] for text in tokens])
    np.testing.assert_allclose(
        story.embed(texts, normalize=False), [text.mean(axis=0) for text in tokens], atol=1e-5
    )
    # What logits are made of.
    ids = story.tokenizer.encode(texts[0])
    assert np.abs(tokens[0]).max() > 0.1
    assert len(story.logits(ids)) == len(tokens[0]) == len(ids)


def test_what_is_no_text(bert: Model) -> None:
    with pytest.raises(RequestError, match="texts is a str"):
        bert.embed("the fox")
    with pytest.raises(RequestError, match=r"texts\[1\] has no tokens"):
        bert.embed([[CLS], []])
    with pytest.raises(RequestError, match=rf"texts\[0\]\[1\] is {len(ID)}"):
        bert.embed([[CLS, len(ID)]])
    with pytest.raises(RequestError, match=r"pooling is \"best\", but must be one of none, mean"):
        bert.embed(["a"], "best")  # type: ignore[arg-type]
    assert bert.embed([]).shape == (0, WIDTH)  # type: ignore[union-attr]
    assert bert.embed([], "none") == []


def test_long_texts(bert: Model) -> None:
    text = "the red fox ran " * 20
    with pytest.raises(ContextLengthError, match=rf"texts\[1\] has 82 tokens.* {CONTEXT}"):
        bert.embed(["a", text])
    words = [ID[word] for word in ("the", "red", "fox", "ran")]
    cut = [CLS, *(words * 20)[: CONTEXT - 2], SEP]
    assert np.array_equal(bert.embed([text], truncate=True), bert.embed([cut]))
    assert np.array_equal(bert.embed([[*cut, 5]], truncate=True), bert.embed([cut]))
    short = ["a cat", "fox"]
    assert np.array_equal(bert.embed(short, truncate=True), bert.embed(short))


def test_an_encoder_does_nothing_else(bert: Model) -> None:
    for ask in (
        lambda: bert.generate("a"),
        lambda: bert.stream([CLS]),
        lambda: bert.logits([CLS]),
    ):
        with pytest.raises(UnsupportedModelError, match="the model is an encoder"):
            ask()
    with pytest.raises(UnsupportedModelError, match="no classifier"):
        bert.rerank("a", ["b"])
    assert not bert.info["generates"]


def test_many_texts_in_few_passes(bert: Model) -> None:
    texts = ["the quick cat sat"] * 300
    bert._engine.start_profile()
    vectors = bert.embed(texts)
    profile = bert._engine.stop_profile()
    assert profile["tokens"] == 300 * 6
    # There are pages for 8 sequences.
    assert profile["passes"] <= 300 / 8 + 1
    assert (vectors == vectors[0]).all()


async def test_aembed(bert: Model) -> None:
    assert np.array_equal(await bert.aembed(TEXTS), bert.embed(TEXTS))
    answers = await asyncio.gather(*(bert.aembed([text], "cls") for text in TEXTS * 5))
    expected = bert.embed(TEXTS * 5, "cls")
    assert np.array_equal(np.concatenate(answers), expected)
    assert (await bert.aembed([])).shape == (0, WIDTH)  # type: ignore[union-attr]
    with pytest.raises(ContextLengthError):
        await bert.aembed(["cat " * 100])


async def test_cancelling_the_task_stops_the_computation(slow: Model) -> None:
    with given_up(slow):
        task = asyncio.create_task(slow.aembed([long_prompt() for _ in range(3)]))
        await asyncio.to_thread(wait_until_busy, slow)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_the_model_ends_it(slow_path: Path) -> None:
    model = Model(slow_path)
    task = asyncio.create_task(model.aembed([long_prompt()]))
    await asyncio.to_thread(wait_until_busy, model)
    model.close()
    with pytest.raises(FarthingError):
        await asyncio.wait_for(task, PATIENCE)


def test_generation_goes_on_meanwhile(story: Model) -> None:
    texts = ["Once upon a time, the cat found the cat " * 5] * 40
    alone = story.embed(texts[:1])
    rest = STORY_TEXT.removeprefix(" Once upon")
    with ThreadPoolExecutor(5) as pool:
        vectors = pool.submit(story.embed, texts)
        answers = [pool.submit(story.generate, "Once upon", temperature=0) for _ in range(4)]
        assert {answer.result().text for answer in answers} == {rest}
        assert (vectors.result() == alone).all()


def test_the_interpreter_is_free(slow: Model) -> None:
    thread = threading.Thread(target=slow.embed, args=([long_prompt()],))
    thread.start()
    wait_until_busy(slow)
    beats = 0
    while thread.is_alive():
        time.sleep(0.001)
        beats += 1
    # Of the text's 32 passes none holds it up.
    assert beats > 100


async def test_rerank(reranker: Model) -> None:
    query, documents = "the quick fox", ["a cat", "the fox ran home", "dogs", "red", "the fox"]
    found = reranker.rerank(query, documents)
    assert [item.document for item in found] == [documents[item.index] for item in found]
    assert sorted(item.index for item in found) == list(range(5))
    scores = [item.relevance_score for item in found]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 5
    pairs = [
        [CLS, ID["the"], ID["quick"], ID["fox"], SEP, *reranker.tokenizer.encode(text)[1:]]
        for text in documents
    ]
    expected = reranker.embed(pairs)
    assert expected.shape == (5, 1)  # type: ignore[union-attr]
    assert all(item.relevance_score == expected[item.index][0] for item in found)
    assert reranker.rerank(query, documents, top_n=2) == found[:2]
    assert await reranker.arerank(query, iter(documents)) == found
    assert reranker.rerank(query, []) == []
    assert isinstance(found[0], RankedDocument)


def test_reranking_long_documents(reranker: Model) -> None:
    documents = ["fox", "cat " * 100]
    with pytest.raises(ContextLengthError, match=rf"texts\[1\] has 104 tokens.* {CONTEXT}"):
        reranker.rerank("dog", documents)
    found = reranker.rerank("dog", documents, truncate=True)
    cut = [CLS, ID["dog"], SEP, *[ID["cat"]] * (CONTEXT - 4), SEP]
    assert {item.relevance_score for item in found if item.index == 1} == {
        reranker.embed([cut])[0][0]
    }
    with pytest.raises(RequestError, match="documents is a str"):
        reranker.rerank("dog", "cat")
    with pytest.raises(RequestError, match="top_n is 0"):
        reranker.rerank("dog", ["cat"], top_n=0)


def test_a_template_of_the_file(story: Model) -> None:
    tokenizer = story.tokenizer
    template = "<|user|>{query}|{document}</s><|assistant|>"
    query, document = "the {document}", "a cat"
    ids = pair_ids(tokenizer, template, query, document, None)
    assert tokenizer.decode(ids, skip_special=False, continuation=True) == (
        f"<|user|> {query}|{document}</s><|assistant|>"
    )
    long = "the cat found " * 20
    cut = pair_ids(tokenizer, template, query, long, 40)
    assert 30 < len(cut) <= 40
    assert cut[-2:] == ids[-2:]
    assert pair_ids(tokenizer, template, query, long, 1000) == pair_ids(
        tokenizer, template, query, long, None
    )
