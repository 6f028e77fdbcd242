"""What generate returns, with a model whose text is known."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from farthing import (
    ContextLengthError,
    FarthingError,
    Model,
    ModelFileError,
    RequestError,
    UnsupportedModelError,
)
from models import ID, PIECES, STORY, STORY_TEXT, Shape, Tiny


def test_text_tokens_and_usage(story: Model) -> None:
    completion = story.generate("Once upon", temperature=0)
    assert completion.text == STORY_TEXT.removeprefix(" Once upon")
    assert completion.tokens == [ID[piece] for piece in STORY[2:-1]]
    assert completion.finish_reason == "stop"
    assert completion.usage.prompt_tokens == 3
    assert completion.usage.completion_tokens == len(STORY) - 3
    assert completion.usage.total_tokens == len(STORY)
    assert completion.timings.predicted_n == len(STORY) - 2
    assert completion.timings.predicted_per_second > 0
    assert completion.logprobs is None
    assert completion.message == {"role": "assistant", "content": completion.text}


def test_token_ids_are_a_prompt(story: Model) -> None:
    ids = np.array([ID["<s>"], ID["▁Once"]])
    assert story.generate(ids, temperature=0, max_tokens=2).text == " upon a"


def test_max_tokens_ends_by_length(story: Model) -> None:
    completion = story.generate("Once", temperature=0, max_tokens=3)
    assert (completion.text, completion.finish_reason) == (" upon a time", "length")
    assert story.generate("Once", max_tokens=0).tokens == []


def test_an_unfinished_character_at_the_end_is_replaced(story: Model) -> None:
    completion = story.generate("the caf", temperature=0, max_tokens=1)
    assert completion.text == "\ufffd"
    assert completion.tokens == [ID["<0xC3>"]]


@pytest.mark.parametrize(
    ("stop", "text", "n_tokens"),
    [
        (" time", " upon a", 2),
        (["zzz", "pon"], " u", 1),
        ("me, the", " upon a ti", 3),
        ("café", " upon a time, the ", 6),
    ],
)
def test_stop_strings(story: Model, stop: str | list[str], text: str, n_tokens: int) -> None:
    completion = story.generate("Once", temperature=0, stop=stop)
    assert (completion.text, completion.finish_reason) == (text, "stop")
    assert completion.tokens == [ID[piece] for piece in STORY[1 : 1 + n_tokens]]


def test_ignore_eos_goes_on(story: Model) -> None:
    completion = story.generate("found", temperature=0, ignore_eos=True, max_tokens=20)
    assert completion.finish_reason == "length"
    assert len(completion.tokens) == 20


def test_logprobs(story: Model) -> None:
    completion = story.generate("Once", temperature=0, max_tokens=2, logprobs=3)
    assert completion.logprobs is not None
    first = completion.logprobs[0]
    assert (first.token, first.text) == (ID["▁upon"], " upon")
    assert first.top[0].token == first.token
    assert first.top[0].logprob == first.logprob
    assert len(first.top) == 3
    logits = story.logits([ID["<s>"], ID["▁Once"]])[-1].astype(np.float64)
    expected = logits[first.token] - np.log(np.exp(logits).sum())
    assert first.logprob == pytest.approx(expected, abs=1e-3)
    [without] = story.generate("Once", temperature=0, max_tokens=1, logprobs=0).logprobs or []
    assert without.top == ()


def test_logit_bias(story: Model) -> None:
    forbidden = story.generate(
        "Once", temperature=0, max_tokens=1, logit_bias={ID["▁upon"]: float("-inf")}
    )
    assert forbidden.tokens != [ID["▁upon"]]
    forced = story.generate("Once", max_tokens=3, logit_bias={ID["x"]: 100.0})
    assert forced.text == "xxx"


def test_a_seed_repeats_the_choices(story: Model) -> None:
    def text(seed: int | None) -> list[int]:
        return story.generate(
            "x",
            temperature=50.0,
            top_k=0,
            top_p=1,
            min_p=0,
            seed=seed,
            max_tokens=20,
            ignore_eos=True,
        ).tokens

    assert text(1) == text(1)
    assert text(1) != text(2)
    assert text(None) != text(-1)


def test_logits(story: Model) -> None:
    ids = [ID[piece] for piece in ("<s>", "▁Once", "▁upon")]
    logits = story.logits(ids)
    assert logits.dtype == np.float32
    assert logits.shape == (3, len(PIECES))
    assert [PIECES[i] for i in logits.argmax(axis=1)] == ["▁Once", "▁upon", "▁a"]


def test_an_earlier_prompt_is_reused(story: Model) -> None:
    prompt = [ID["x"]] * 200
    story.generate(prompt, max_tokens=1)
    again = story.generate([*prompt, ID["▁Once"]], temperature=0, max_tokens=1)
    cached = again.usage.prompt_tokens_details.cached_tokens
    assert cached >= 128
    assert cached == again.timings.cache_n == 201 - again.timings.prompt_n
    assert again.text == " upon"
    alone = story.generate([*prompt, ID["▁Once"]], temperature=0, max_tokens=1, cache_prompt=False)
    assert alone.usage.prompt_tokens_details.cached_tokens == 0
    assert (alone.text, alone.timings.prompt_n) == (" upon", 201)


def test_what_is_kept_is_bounded(story_path: Path) -> None:
    with Model(story_path, n_ctx=512, max_sequences=1) as model:
        n_bytes = model.info["kv_bytes"]
    prompt = [ID["x"]] * 400
    for page in (0, 2):
        with Model(
            story_path, n_ctx=512, max_sequences=1, prefix_cache_bytes=page * n_bytes // 8
        ) as model:
            assert model.info["kv_bytes"] == n_bytes + page * n_bytes // 8
            model.generate(prompt, max_tokens=1)
            again = model.generate(prompt, max_tokens=1)
            assert again.usage.prompt_tokens_details.cached_tokens == page * 64


def test_threads_share_a_model(story: Model) -> None:
    texts = []

    def work() -> None:
        texts.append(story.generate("Once upon", temperature=0).text)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [STORY_TEXT.removeprefix(" Once upon")] * 12


def test_a_file_without_a_vocabulary_takes_and_gives_ids(folder: Path) -> None:
    path = Tiny(vocabulary=False).write(folder / "ids.gguf")
    with Model(path) as model:
        completion = model.generate([ID["▁Once"]], temperature=0, max_tokens=3)
        assert completion.tokens == [ID[piece] for piece in STORY[1:4]]
        assert completion.text == ""
        assert len(list(model.stream([ID["▁Once"]], temperature=0, max_tokens=3))) == 3
        assert model.logits([ID["▁Once"]]).argmax() == ID["▁upon"]
        with pytest.raises(FarthingError, match="no vocabulary"):
            model.generate("Once")
        with pytest.raises(FarthingError, match="no vocabulary"):
            model.chat([{"role": "user", "content": "Hi"}])


def test_a_quantized_file(folder: Path) -> None:
    path = Tiny(weight_type="Q8_0").write(folder / "q8_0.gguf")
    with Model(path, kv_type="f32", n_ctx=64, n_threads=1) as model:
        assert model.generate("Once upon", temperature=0).text.endswith("🦊.")
        assert model.info["n_ctx"] == 64
        assert model.info["n_threads"] == 1


def test_unknown_keywords_are_named(story: Model) -> None:
    with pytest.raises(TypeError, match=r"generate\(\).*'temprature'; did you mean 'temperature'"):
        story.generate("Once", temprature=0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"stream\(\).*'foo'$"):
        story.stream("Once", foo=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"max_tokens": -3}, "max_tokens is -3"),
        ({"max_tokens": 2.5}, "max_tokens is 2.5"),
        ({"logprobs": 1000}, "logprobs is 1000"),
        ({"stop": ["a", ""]}, "stop"),
        ({"logit_bias": {99999: 1.0}}, "99999"),
        ({"logit_bias": {"a": 1.0}}, "logit_bias"),
        ({"logit_bias": {1: "x"}}, r"logit_bias\[1\] is 'x'"),
        ({"seed": -2}, "seed is -2"),
        ({"ignore_eos": "yes"}, "ignore_eos is 'yes'"),
    ],
)
def test_bad_values_are_named(story: Model, options: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        story.generate("Once", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [([], "no tokens"), ([3, -1], r"tokens\[1\] is -1"), ([99999], r"tokens\[0\] is 99999")],
)
def test_bad_prompts_are_named(story: Model, prompt: list[int], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        story.generate(prompt)
    with pytest.raises(RequestError, match=words):
        story.logits(prompt)


def test_a_prompt_longer_than_the_context(story: Model) -> None:
    with pytest.raises(ContextLengthError, match=r"600 tokens.*512"):
        story.generate([5] * 600)


def test_a_full_context_ends_by_length(story: Model) -> None:
    completion = story.generate([ID["x"]] * 500, temperature=0, ignore_eos=True)
    assert completion.finish_reason == "length"
    assert len(completion.tokens) in (12, 13)


@pytest.mark.parametrize(
    "options",
    [{"n_ctx": 0}, {"n_threads": -1}, {"kv_type": "f64"}, {"max_sequences": 0}, {"n_batch": 0}],
)
def test_bad_settings_are_named(story_path: Path, options: dict[str, object]) -> None:
    [name] = options
    with pytest.raises(RequestError, match=name):
        Model(story_path, **options)  # type: ignore[arg-type]


def test_files_that_are_no_models(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelFileError, match="nowhere"):
        Model(tmp_path / "nowhere.gguf")
    with pytest.raises(ModelFileError, match="directory"):
        Model(tmp_path)
    text = tmp_path / "text.gguf"
    text.write_text("not a model")
    with pytest.raises(ModelFileError, match=r"text\.gguf"):
        Model(text)


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "odd.gguf", "oddity")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(UnsupportedModelError, match="oddity"):
        Model(tmp_path / "odd.gguf")


def test_a_closed_model_refuses(story_path: Path) -> None:
    with Model(story_path) as model:
        stream = model.stream("Once", temperature=0)
    model.close()
    list(stream)
    assert stream.result.finish_reason in ("cancelled", "stop")
    with pytest.raises(FarthingError, match="closed"):
        model.generate("Once")
    with pytest.raises(FarthingError, match="closed"):
        model.logits([1])


def test_metadata(story: Model) -> None:
    assert story.metadata["general.architecture"] == "llama"
    assert story.metadata["tokenizer.ggml.tokens"] == PIECES
    assert story.tokenizer.eog_ids == {ID["</s>"]}


def test_the_built_in_model() -> None:
    with Model("demo") as model:
        assert model.generate("Once upon a time", max_tokens=20, seed=1).text.strip()


def test_shapes_of_attention(folder: Path) -> None:
    """Positions beyond a page of the cache and grouped heads change nothing of the story."""
    path = Tiny(Shape(layers=3, heads=8, kv_heads=1, context=300)).write(folder / "mqa.gguf")
    with Model(path, n_batch=7) as model:
        prompt = [ID["x"]] * 250 + [ID["▁Once"]]
        assert model.generate(prompt, temperature=0, max_tokens=4).text == " upon a time,"
