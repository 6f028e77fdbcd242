"""Low-rank adapters chosen by requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import Pair, random_pairs, write_adapter, write_merged
from farthing import Model, ModelFileError, RequestError, UnsupportedModelError
from models import ID, STORY_TEXT, Tiny

IDS = [ID["<s>"], *range(40, 80)]
NAMES = [
    *("token_embd.weight", "output.weight"),
    *(f"blk.{i}.{part}.weight" for i in (0, 1) for part in ("attn_q", "attn_v", "attn_output")),
    *(f"blk.{i}.{part}.weight" for i in (0, 1) for part in ("ffn_gate", "ffn_up", "ffn_down")),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Tiny().write(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="module")
def pairs(path: Path) -> list[dict[str, Pair]]:
    return [random_pairs(path, NAMES, seed=1), random_pairs(path, NAMES[1:6], rank=8, seed=2)]


@pytest.fixture(scope="module")
def files(path: Path, pairs: list[dict[str, Pair]]) -> dict[str, Path]:
    return {
        name: write_adapter(path.with_name(f"{name}.gguf"), weights)
        for name, weights in zip(("first", "second"), pairs, strict=True)
    }


@pytest.fixture(scope="module")
def model(path: Path, files: dict[str, Path]) -> Iterator[Model]:
    with Model(path, kv_type="f32", lora=files, n_threads=2) as model:
        yield model


def merged(path: Path, folder: Path, *scaled: tuple[dict[str, Pair], float]) -> Model:
    """The model with deltas in its weights; a scale is times alpha by rank."""
    deltas: dict[str, Any] = {}
    for pairs, scale in scaled:
        for name, pair in pairs.items():
            factor = scale * 8 / pair.b.shape[1]
            deltas[name] = deltas.get(name, 0) + pair.delta(name, factor)
    return Model(write_merged(path, folder / "merged.gguf", deltas), kv_type="f32")


@pytest.mark.parametrize("scales", [{"first": 1.0}, {"first": -0.5, "second": 2.0}])
def test_logits_are_those_of_merged_weights(
    model: Model,
    path: Path,
    pairs: list[dict[str, Pair]],
    scales: dict[str, float],
    tmp_path: Path,
) -> None:
    chosen = [(weights, scales[name]) for name, weights in zip(scales, pairs, strict=False)]
    with merged(path, tmp_path, *chosen) as other:
        expected = other.logits(IDS)
    assert np.abs(expected - model.logits(IDS)).max() > 1
    assert model.logits(IDS, lora=scales) == pytest.approx(expected, abs=1e-4)


def test_greedy_text_is_that_of_merged_weights(
    model: Model, path: Path, pairs: list[dict[str, Pair]], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 25, "ignore_eos": True}
    with merged(path, tmp_path, (pairs[0], 1.0)) as other:
        expected = other.generate(IDS, **options)
    adapted = model.generate(IDS, lora="first", **options)
    assert adapted.tokens == expected.tokens
    assert adapted.tokens != model.generate(IDS, **options).tokens


def test_scale_zero_is_the_base(model: Model) -> None:
    np.testing.assert_array_equal(model.logits(IDS, lora={"first": 0}), model.logits(IDS))


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0"])
def test_types_of_adapters(
    model: Model, path: Path, pairs: list[dict[str, Pair]], kind: str, tmp_path: Path
) -> None:
    name = model.load_lora(write_adapter(tmp_path / f"{kind}.gguf", pairs[0], kind=kind))
    assert name == kind
    difference = model.logits(IDS, lora=name) - model.logits(IDS, lora="first")
    model.unload_lora(name)
    effect = model.logits(IDS, lora="first") - model.logits(IDS)
    allowed = {"F16": 0.002, "BF16": 0.02, "Q8_0": 0.03, "Q4_0": 0.3}[kind]
    assert 0 < np.sqrt(np.mean(difference**2)) < allowed * np.sqrt(np.mean(effect**2))


def test_a_batch_of_different_adapters_is_as_each_alone(path: Path, files: dict[str, Path]) -> None:
    choices: list[Any] = [None, "first", "second", {"first": 0.3, "second": 0.7}, {}, "first"]
    prompts = [IDS[: 8 + 5 * i] for i in range(len(choices))]
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 30, "ignore_eos": True}
    with Model(path, lora=files, n_batch=16) as model:
        alone = [
            model.generate(prompt, lora=choice, **options).tokens
            for prompt, choice in zip(prompts, choices, strict=True)
        ]
    with Model(path, lora=files, n_batch=16) as model:
        streams = [
            model.stream(prompt, lora=choice, **options)
            for prompt, choice in zip(prompts, choices, strict=True)
        ]
        together = [stream.wait().tokens for stream in streams]
    assert together == alone
    assert len({tuple(tokens) for tokens in alone}) > 3


def test_what_is_computed_with_an_adapter_is_not_taken_for_the_base(
    path: Path, files: dict[str, Path]
) -> None:
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 10, "ignore_eos": True}
    prompt = [*IDS, *range(100, 200)]
    with Model(path, lora=files) as model:
        base = model.generate(prompt, **options).tokens
    with Model(path, lora=files) as model:
        first = model.generate(prompt, lora="first", **options).tokens
        for choice, expected in ((None, base), ("first", first), ({"first": 0}, base)):
            assert model.generate(prompt, lora=choice, **options).tokens == expected
        half = model.generate(prompt, lora={"first": 0.5}, **options).tokens
        assert half != first


def test_files_without_names_are_the_default(path: Path, files: dict[str, Path]) -> None:
    with Model(path, kv_type="f32", lora=files["first"]) as model:
        assert model.lora == ["first"]
        adapted = model.logits(IDS)
        np.testing.assert_array_equal(model.logits(IDS, lora="first"), adapted)
        base = model.logits(IDS, lora={})
        assert np.abs(base - adapted).max() > 1
        model.unload_lora("first")
        np.testing.assert_array_equal(model.logits(IDS), base)
    with Model(path, kv_type="f32", lora=list(files.values())) as model:
        both = model.logits(IDS)
        np.testing.assert_array_equal(model.logits(IDS, lora=["second", "first"]), both)


def test_chat_takes_them_too(model: Model) -> None:
    messages = [{"role": "user", "content": "Once"}]
    assert model.chat(messages, temperature=0).text == STORY_TEXT
    assert model.chat(messages, temperature=0, lora="first", max_tokens=20).text != STORY_TEXT


def test_a_request_keeps_its_adapter(path: Path, files: dict[str, Path]) -> None:
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 200, "ignore_eos": True}
    with Model(path, lora={"it": files["first"]}) as model:
        expected = model.generate(IDS, lora="it", **options).tokens
        first = model.stream(IDS, lora="it", **options)
        model.unload_lora("it")
        model.load_lora(files["second"], "it")
        second = model.stream(IDS, lora="it", **options)
        model.unload_lora("it")
        assert first.wait().tokens == expected
        assert second.wait().tokens != expected


def test_loading_again_and_again_takes_no_memory(model: Model, path: Path, files: Any) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    big = random_pairs(path, ["output.weight"], rank=2000)
    file = write_adapter(path.with_name("big.gguf"), big)
    assert file.stat().st_size > 3e6
    for round_ in range(30):
        model.load_lora(file, "again")
        model.logits(IDS[:2], lora="again")
        model.unload_lora("again")
        if round_ == 9:
            before = resident()
    assert resident() - before < 2e7
    with pytest.raises(
        RequestError, match="no adapter is named 'again'; loaded: 'first', 'second'"
    ):
        model.logits(IDS, lora="again")


def test_loading_from_threads(model: Model, files: dict[str, Path]) -> None:
    expected = model.logits(IDS, lora="first")

    def work(number: int) -> None:
        for _ in range(5):
            name = model.load_lora(files["first"], f"thread {number}")
            np.testing.assert_array_equal(model.logits(IDS, lora=name), expected)
            model.unload_lora(name)

    errors: list[BaseException] = []
    hook, threading.excepthook = threading.excepthook, lambda args: errors.append(args.exc_value)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    threading.excepthook = hook
    assert errors == []


def test_norms_are_reported(
    model: Model, pairs: list[dict[str, Pair]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"blk.0.attn_norm.weight": np.ones(64, np.float32)}
    file = write_adapter(tmp_path / "norms.gguf", pairs[0], extra=extra)
    with caplog.at_level(logging.WARNING, logger="farthing"):
        model.load_lora(file)
    assert "not applied: blk.0.attn_norm.weight" in caplog.text
    np.testing.assert_array_equal(model.logits(IDS, lora="norms"), model.logits(IDS, lora="first"))
    model.unload_lora("norms")


def test_without_alpha_the_scale_is_whole(
    model: Model, pairs: list[dict[str, Pair]], tmp_path: Path
) -> None:
    file = write_adapter(tmp_path / "plain.gguf", pairs[0], alpha=None)
    model.load_lora(file)
    twice = model.logits(IDS, lora={"plain": 2})
    model.unload_lora("plain")
    # Alpha is 8, the rank 4.
    np.testing.assert_allclose(twice, model.logits(IDS, lora="first"), atol=1e-4)


ONE = {"blk.0.attn_q.weight": Pair(np.ones((4, 64), np.float32), np.ones((64, 4), np.float32))}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"architecture": "qwen2"}, 'general.architecture is "qwen2", but must be "llama"'),
        ({"fields": {"general.type": "model"}}, 'general.type is "model", but must be "adapter"'),
        ({"fields": {"adapter.type": "dora"}}, 'adapter.type is "dora", but must be "lora"'),
        ({"fields": {"adapter.alora.invocation_tokens": "x"}}, "alora"),
        ({"extra": {"blk.0.attn_q.weight": np.ones(2, np.float32)}}, "blk.0.attn_q.weight is no"),
        ({"extra": {"blk.7.attn_q.weight.lora_a": np.ones((4, 64), np.float32)}}, "blk.7.attn_q"),
        ({"extra": {"blk.0.attn_norm.weight.lora_a": np.ones(4, np.float32)}}, "takes adapters"),
    ],
)
def test_files_that_do_not_fit(
    model: Model, options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=says):
        model.load_lora(write_adapter(tmp_path / "bad.gguf", ONE, **options))
    assert model.lora == ["first", "second"]


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ((4, 32), (64, 4), r"attn_k.weight.lora_a has the shape \[32, 4\], but \[64, 4\] is"),
        ((4, 64), (16, 4), r"attn_k.weight.lora_b has the shape \[4, 16\], but \[4, 32\] is"),
        ((4, 64), (32, 8), r"attn_k.weight.lora_a has the shape \[64, 4\], but \[64, 8\] is"),
    ],
)
def test_shapes_that_do_not_fit(
    model: Model, a: tuple[int, int], b: tuple[int, int], says: str, tmp_path: Path
) -> None:
    pair = Pair(np.ones(a, np.float32), np.ones(b, np.float32))
    with pytest.raises(ModelFileError, match=says):
        model.load_lora(write_adapter(tmp_path / "bad.gguf", {"blk.1.attn_k.weight": pair}))


def test_half_a_pair(model: Model, tmp_path: Path) -> None:
    extra = {"blk.0.attn_q.weight.lora_b": np.ones((64, 4), np.float32)}
    with pytest.raises(ModelFileError, match=r"attn_q.weight.lora_a is missing"):
        model.load_lora(write_adapter(tmp_path / "bad.gguf", {}, extra=extra))


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("third", "no adapter is named 'third'; loaded: 'first', 'second'"),
        ({"first": "much"}, "the scale of 'first' in lora is 'much', not a number"),
        ({"first": float("nan")}, "scale NaN, but it must be a finite number"),
    ],
)
def test_choices_that_are_wrong(model: Model, choice: Any, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        model.generate(IDS, lora=choice)


def test_names_are_taken_once(model: Model, files: dict[str, Path]) -> None:
    with pytest.raises(RequestError, match="there is an adapter named 'first' already"):
        model.load_lora(files["first"])
    with pytest.raises(RequestError, match="no adapter is named 'x'"):
        model.unload_lora("x")
