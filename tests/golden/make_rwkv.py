"""Make the RWKV files of `tests/data/architectures`, with the logits of RWKV's own package.

    python tests/golden/make_rwkv.py LLAMA_CPP {6,7}

As `make_architectures.py`, but transformers has no RWKV 6 and 7: torch, safetensors and the package
`rwkv` are needed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from make_architectures import N_TOKENS, N_VOCAB, write

LAYERS = 3
WIDTH = 32
HIDDEN = 48
SIZE = 16
"""Of a head."""
RANKS = {"lerp": 32, "decay": 64}
"""What llama.cpp's converter writes for RWKV 6, whatever the weights are."""
COMMON = {
    "vocab_size": N_VOCAB,
    "hidden_size": WIDTH,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "head_size": SIZE,
    "layer_norm_epsilon": 1e-5,
}
CONFIGS: dict[int, dict[str, Any]] = {
    6: {"rescale_every": 2},
    7: {f"lora_rank_{part}": 8 for part in ("decay", "iclr", "value_residual_mix", "gate")},
}


def main() -> None:
    sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]) / "gguf-py")]
    version = int(sys.argv[2])
    # The package looks at it when it is imported, and then has one version only.
    os.environ["RWKV_V7_ON"] = "1" if version == 7 else "0"
    make(version)


def make(version: int) -> None:
    """A version's file, with the weights under the names of the package and of published files."""
    import torch
    from rwkv.model import RWKV
    from safetensors.torch import save_file

    torch.manual_seed(version)
    weights = random_weights(version)
    tokens = np.random.default_rng(0).integers(N_VOCAB, size=N_TOKENS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.save(weights, folder / "model.pth")
        model = RWKV(str(folder / "model"), "cpu fp32")
        logits, _ = model.forward(tokens.tolist(), None, full_output=True)
        parts = {"att.": "attention.", "ffn.": "feed_forward.", "0.ln0": "0.pre_ln"}
        parts |= {"blocks.0.pre_ln": "pre_ln", "blocks.": "layers."} if version == 7 else {}
        prefix = "model." if version == 7 else "rwkv."
        renamed = {}
        for key, weight in weights.items():
            published = key.replace("emb.", "embeddings.")
            for old, new in parts.items():
                published = published.replace(old, new)
            renamed[published if key.startswith("head") else prefix + published] = weight
        save_file(renamed, folder / "model.safetensors")
        architecture = f"Rwkv{version}ForCausalLM"
        config = {"architectures": [architecture], **COMMON, **CONFIGS[version]}
        (folder / "config.json").write_text(json.dumps(config))
        write(f"rwkv{version}", folder, architecture, tokens, logits.numpy())


def random_weights(version: int) -> dict[str, Any]:
    """A model's tensors by the names of the package."""
    import torch

    def matrix(*shape: int, fan_in: int | None = None) -> torch.Tensor:
        return torch.randn(*shape) * 0.8 * (fan_in or shape[-1]) ** -0.5

    def norm(name: str) -> dict[str, torch.Tensor]:
        weight, bias = torch.rand(WIDTH) + 0.5, torch.randn(WIDTH) * 0.1
        return {f"{name}.weight": weight, f"{name}.bias": bias}

    def share() -> torch.Tensor:
        return torch.rand(1, 1, WIDTH)

    tensors = {"emb.weight": matrix(N_VOCAB, WIDTH), **norm("blocks.0.ln0")}
    for layer in range(LAYERS):
        heads = (WIDTH // SIZE, SIZE)
        block = {**norm("ln1"), **norm("ln2"), **norm("att.ln_x"), "ffn.x_k": share()}
        for name in ("receptance", "key", "value", "output"):
            block[f"att.{name}.weight"] = matrix(WIDTH, WIDTH)
        block["ffn.key.weight"] = matrix(HIDDEN, WIDTH)
        block["ffn.value.weight"] = matrix(WIDTH, HIDDEN)
        if version == 6:
            block["ffn.time_maa_k"] = block.pop("ffn.x_k")
            block["ffn.time_maa_r"] = share()
            block["ffn.receptance.weight"] = matrix(WIDTH, WIDTH)
            block["att.gate.weight"] = matrix(WIDTH, WIDTH)
            block |= {f"att.time_maa_{reader}": share() for reader in "xwkvrg"}
            block["att.time_maa_w1"] = matrix(WIDTH, 5 * RANKS["lerp"], fan_in=WIDTH)
            block["att.time_maa_w2"] = matrix(5, RANKS["lerp"], WIDTH, fan_in=4 * RANKS["lerp"])
            block["att.time_decay"] = torch.rand(1, 1, WIDTH) * 4 - 4
            block["att.time_decay_w1"] = matrix(WIDTH, RANKS["decay"], fan_in=WIDTH)
            block["att.time_decay_w2"] = matrix(RANKS["decay"], WIDTH, fan_in=RANKS["decay"])
            block["att.time_faaaa"] = torch.randn(*heads) * 0.5
        else:
            block |= {f"att.x_{reader}": share() for reader in "rwkvag"}
            block |= {f"att.{name}": share() for name in ("w0", "a0", "v0", "k_k", "k_a")}
            for name in "wavg":
                block[f"att.{name}1"] = matrix(WIDTH, 8, fan_in=WIDTH)
                block[f"att.{name}2"] = matrix(8, WIDTH, fan_in=8)
            block["att.r_k"] = torch.randn(*heads) * 0.5
        tensors |= {f"blocks.{layer}.{name}": tensor for name, tensor in block.items()}
    return tensors | norm("ln_out") | {"head.weight": matrix(N_VOCAB, WIDTH)}


if __name__ == "__main__":
    main()
