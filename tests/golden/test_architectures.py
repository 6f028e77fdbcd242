"""Random models of several architectures against transformers' logits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from float_reference import FloatReference

from farthing import Model

RANDOM = """
    command-r falcon gemma gemma2 gemma3 glm4 gpt2 gptneox granite llama-rope3 mamba mixtral olmo2
    phi3 qwen2 qwen2moe qwen3 qwen3moe stablelm starcoder2
"""
"""Files in `models/random` that `golden.json` there has numbers for."""
SMALL = """
    baichuan bloom chatglm cohere cohere2 deepseek2 deepseek2-lite deepseek3
    ernie4_5 ernie4_5-moe exaone falcon falcon-h1 gemma gemma2 gemma3 gemma3n gemma4
    gemma4-moe glm-edge glm4 glm4moe-lite gpt-oss gpt2 gptneox granite granitehybrid
    granitemoe internlm2 lfm2 llama llama-linear llama-tied llama3-rope llama4 mamba
    minicpm minicpm3 mistral mistral3 mixtral mpt nemotron nemotron_h olmo2 olmo3
    phi2 phi3 phi3-longrope qwen qwen2 qwen2moe qwen3 qwen3-yarn qwen35 qwen35moe
    qwen3moe qwen3next smollm3 stablelm starcoder2
"""
"""Files in `models/arch-small`, each beside its numbers and their tolerance."""
OWN = Path(__file__).parents[1] / "data" / "architectures"
"""Files like those, made by `make_architectures.py`."""


@pytest.fixture(params=RANDOM.split())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(data: Path, name: str) -> Iterator[Model]:
    path = data / "models" / "random" / f"tiny-random-{name}-f32.gguf"
    with Model(path, kv_type="f32") as model:
        yield model


@pytest.fixture
def cases(data: Path, name: str) -> list[dict[str, Any]]:
    path = data / "models" / "random" / "golden.json"
    return json.loads(path.read_text(encoding="utf-8"))[name]


def test_tokens_and_logits(model: Model, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        assert model.tokenizer.encode(case["text"]) == case["ids"]
        logits = model.logits(case["ids"])
        assert logits[-1] == pytest.approx(case["last_logits"], abs=1e-4)
        assert logits.argmax(axis=1).tolist() == case["argmax"]


def test_greedy_tokens(model: Model, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        completion = model.generate(case["ids"], temperature=0, max_tokens=12)
        # The golden tokens go on after the end of the text.
        assert completion.tokens == case["greedy"][: len(completion.tokens)]
        if completion.finish_reason == "stop":
            assert case["greedy"][len(completion.tokens)] in model.tokenizer.eog_ids
        else:
            assert len(completion.tokens) == 12


@pytest.mark.parametrize("small", SMALL.split())
def test_small_files(data: Path, small: str) -> None:
    check(data / "models" / "arch-small" / f"{small}.npz")


@pytest.mark.parametrize("own", sorted(OWN.glob("*.npz")), ids=lambda path: path.stem)
def test_own_files(own: Path) -> None:
    check(own)


def check(numbers: Path) -> None:
    """Compare all logits, then the same computed otherwise: in pieces, one by one, in company."""
    path = numbers.with_name(f"{numbers.stem}-f32.gguf")
    with np.load(numbers) as golden:
        ids, expected, tolerance = golden["tokens"].tolist(), golden["hf"], golden["tolerance"]
    most = np.abs(expected).max()
    with Model(path, kv_type="f32", n_threads=1) as model:
        logits = model.logits(ids)
        assert np.abs(logits - expected).max() < tolerance * most
        best = np.take_along_axis(expected, logits.argmax(axis=1)[:, None], axis=1)[:, 0]
        assert (expected.max(axis=1) - best).max() < tolerance * most
        prompts = [ids[: len(ids) // 2], ids[3:40]]
        alone = [greedy(model, prompt) for prompt in prompts]
        for prompt, continuation in zip(prompts, alone, strict=True):
            rows = model.logits([*prompt, *continuation])[len(prompt) - 1 : -1]
            assert rows.argmax(axis=1).tolist() == continuation
    with Model(path, kv_type="f32", n_threads=1, n_batch=7) as model:
        assert np.array_equal(model.logits(ids), logits)
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(greedy, [model] * 2, prompts)) == alone


def greedy(model: Model, prompt: list[int]) -> list[int]:
    return model.generate(prompt, temperature=0, max_tokens=8).tokens


def test_rwkv_shares_in_tensors_of_their_own(tmp_path: Path) -> None:
    """Files of the first converter have one tensor for each reader instead of one for all."""
    reader = gguf.GGUFReader(OWN / "rwkv6-f32.gguf")
    writer = gguf.GGUFWriter(tmp_path / "rwkv6.gguf", "rwkv6")
    for key, field in reader.fields.items():
        if key.startswith("rwkv6."):
            writer.add_key_value(key, field.contents(), field.types[0])
    writer.add_tokenizer_model("none")
    for tensor in reader.tensors:
        if "lerp_fused" not in tensor.name:
            writer.add_tensor(tensor.name, tensor.data)
            continue
        for name, shares in zip("wkvrg", tensor.data, strict=True):
            writer.add_tensor(tensor.name.replace("fused", name), shares)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ids = list(range(30))
    with Model(OWN / "rwkv6-f32.gguf") as fused, Model(tmp_path / "rwkv6.gguf") as apart:
        assert np.array_equal(apart.logits(ids), fused.logits(ids))


def test_a_real_vocabulary_and_half_precision_weights(data: Path) -> None:
    path = data / "models" / "random" / "llama-2-tiny-random.gguf"
    with Model(path, n_ctx=64, kv_type="f32") as model:
        ids = model.tokenizer.encode("Once upon a time")
        logits = model.logits(ids)
    expected = FloatReference(path).logits(ids)
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()
