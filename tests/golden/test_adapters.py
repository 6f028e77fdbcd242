"""Adapters beside the weights against deltas within them, for matrices of every kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from adapters import Pair, random_pairs, write_adapter, write_merged
from farthing import Model, ModelFileError

OWN = Path(__file__).parents[1] / "data" / "architectures"
ADAPTED = re.compile(
    r"(token_embd|output"
    r"|attn_(q|k|v|qkv|gate|output|q_a|q_b|kv_a_mqa|kv_b)"
    r"|ffn_(gate|up|down)(_shexp|_exps)?|ffn_gate_up_exps|ffn_gate_inp|attn_(k_b|v_b)"
    r"|ssm_(in|out|x|dt|ba|alpha|beta)|shortconv\.(in|out)_proj"
    r"|(time|channel)_mix_(key|value|receptance|gate|output|[agw]1|[agw]2|decay_w[12]))\.weight"
)
SHARED = """
    gpt2 phi3 deepseek2-lite falcon-h1 gemma3n mamba lfm2 qwen2moe qwen3next cohere mpt
"""
"""Files in `models/arch-small`: fused matrices, latents, recurrent layers, tied embeddings."""


def check(model: Path, folder: Path) -> None:
    reader = gguf.GGUFReader(model)
    names = [
        tensor.name
        for tensor in reader.tensors
        if ADAPTED.fullmatch(re.sub(r"^blk\.\d+\.", "", tensor.name)) and len(tensor.shape) >= 2
    ]
    assert len(names) > 4
    pairs = random_pairs(model, names, size=0.2)
    architecture = reader.fields["general.architecture"].contents()
    adapter = write_adapter(folder / "adapter.gguf", pairs, alpha=6.0, architecture=architecture)
    deltas = {name: pair.delta(name, 0.7 * 6 / 4) for name, pair in pairs.items()}
    n_vocab = next(t for t in reader.tensors if t.name == "token_embd.weight").shape[1]
    ids = np.random.default_rng(1).integers(int(n_vocab), size=30).tolist()
    with Model(model, kv_type="f32", lora={"it": adapter}) as plain:
        base = plain.logits(ids)
        adapted = plain.logits(ids, lora={"it": 0.7})
        np.testing.assert_array_equal(plain.logits(ids), base)
    with Model(write_merged(model, folder / "merged.gguf", deltas), kv_type="f32") as merged:
        expected = merged.logits(ids)
    assert np.abs(expected - base).max() > 0.05
    # Where rounding tips the choice of an expert, that position and those after it are off.
    errors = np.abs(adapted - expected).max(axis=1)
    assert np.median(errors) < 2e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", [path.name for path in sorted(OWN.glob("*.gguf"))])
def test_own_architectures(name: str, tmp_path: Path) -> None:
    check(OWN / name, tmp_path)


def test_experts_of_requests_together(tmp_path: Path) -> None:
    model = OWN / "olmoe-f32.gguf"
    names = [t.name for t in gguf.GGUFReader(model).tensors if "_exps." in t.name]
    files = {}
    for seed, name in enumerate(["first", "second"]):
        pairs = random_pairs(model, names, seed=seed)
        files[name] = write_adapter(tmp_path / f"{name}.gguf", pairs, architecture="olmoe")
    choices: list[Any] = [None, "first", {"first": 0.4, "second": 0.8}, {}, "second", "first"]
    prompts = [list(range(1, 9 + 4 * i)) for i in range(len(choices))]
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 20, "ignore_eos": True}
    with Model(model, lora=files, prefix_cache_bytes=0) as loaded:
        alone = [
            loaded.generate(prompt, lora=choice, **options).tokens
            for prompt, choice in zip(prompts, choices, strict=True)
        ]
        streams = [
            loaded.stream(prompt, lora=choice, **options)
            for prompt, choice in zip(prompts, choices, strict=True)
        ]
        assert [stream.wait().tokens for stream in streams] == alone
    assert len({tuple(tokens) for tokens in alone}) > 3


def test_the_number_of_experts_must_agree(tmp_path: Path) -> None:
    model, name = OWN / "olmoe-f32.gguf", "blk.0.ffn_down_exps.weight"
    pair = random_pairs(model, [name])[name]
    file = write_adapter(
        tmp_path / "experts.gguf", {name: Pair(pair.a[1:], pair.b)}, architecture="olmoe"
    )
    with pytest.raises(ModelFileError, match=f"tensor {name}.lora_a has the shape .* is needed"):
        Model(model, lora=file)


@pytest.mark.parametrize("name", SHARED.split())
def test_architectures(data: Path, name: str, tmp_path: Path) -> None:
    check(data / "models" / "arch-small" / f"{name}-f32.gguf", tmp_path)
