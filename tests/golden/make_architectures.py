"""Make the files of `tests/data/architectures`: tiny random models with transformers' logits.

    python tests/golden/make_architectures.py LLAMA_CPP [NAME ...]

`LLAMA_CPP` is the folder of llama.cpp's source, whose converter writes the files, without a
vocabulary; torch and transformers 5 are needed. All names are made unless some are given.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

OUTPUT = Path(__file__).resolve().parents[1] / "data" / "architectures"
N_VOCAB = 64
N_TOKENS = 48
COMMON = {
    "vocab_size": N_VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "apertus": ("Apertus", {"head_dim": 8}),
    "arcee": ("Arcee", {"head_dim": 8}),
    "dots1": (
        "Dots1",
        {
            "head_dim": 8,
            "n_routed_experts": 6,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "n_shared_experts": 1,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "norm_topk_prob": True,
            "routed_scaling_factor": 1.5,
            "layer_types": ["full_attention"] * 2,
        },
    ),
    "exaone4": (
        "Exaone4",
        {
            "num_hidden_layers": 4,
            "intermediate_size": 32,
            "sliding_window": 16,
            "sliding_window_pattern": 4,
            "head_dim": 8,
        },
    ),
    "gemma3n": (
        # The last two layers have no keys and values. Gates are not cut, as transformers and
        # llama.cpp differ in the standard deviation of so few.
        "Gemma3n",
        {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 5,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "vocab_size_per_layer_input": N_VOCAB,
            "hidden_size_per_layer_input": 8,
            "laurel_rank": 4,
            "sliding_window": 16,
            "num_kv_shared_layers": 2,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"]
            + ["sliding_attention", "full_attention"],
            "activation_sparsity_pattern": [0.0] * 5,
            "tie_word_embeddings": True,
        },
    ),
    "glm4moe": (
        "Glm4Moe",
        {
            "num_hidden_layers": 3,
            "head_dim": 8,
            "n_routed_experts": 6,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "n_shared_experts": 1,
            "first_k_dense_replace": 1,
            "norm_topk_prob": True,
            "routed_scaling_factor": 1.5,
            "n_group": 1,
            "topk_group": 1,
            "use_qk_norm": True,
            "attention_bias": True,
        },
    ),
    "hunyuan-dense": ("HunYuanDenseV1", {"head_dim": 8}),
    "hunyuan-moe": (
        "HunYuanMoEV1",
        {
            "head_dim": 8,
            "intermediate_size": 16,
            "num_experts": 6,
            "moe_topk": [2, 2],
            "moe_intermediate_size": [16, 16],
            "num_shared_expert": [1, 1],
        },
    ),
    "jamba": (
        "Jamba",
        {
            "num_hidden_layers": 4,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "attn_layer_period": 4,
            "attn_layer_offset": 2,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),
    "lfm2moe": (
        "Lfm2Moe",
        {
            "num_hidden_layers": 4,
            "num_dense_layers": 1,
            "num_experts": 6,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "norm_topk_prob": True,
            "use_expert_bias": True,
            "layer_types": ["conv", "full_attention", "conv", "full_attention"],
            "tie_word_embeddings": True,
        },
    ),
    "mamba2": (
        "Mamba2",
        {
            "intermediate_size": 64,
            "num_heads": 8,
            "head_dim": 8,
            "state_size": 16,
            "n_groups": 2,
            "layer_norm_epsilon": 1e-5,
        },
    ),
    "olmo": ("Olmo", {"clip_qkv": 1.5}),
    "olmoe": (
        "Olmoe",
        {
            "intermediate_size": 16,
            "num_experts": 6,
            "num_experts_per_tok": 2,
            "norm_topk_prob": False,
        },
    ),
    "phimoe": (
        "Phimoe",
        {
            "intermediate_size": 24,
            "num_local_experts": 6,
            "num_experts_per_tok": 2,
            "attention_bias": True,
            "lm_head_bias": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "original_max_position_embeddings": 256,
            },
        },
    ),
    "seed_oss": ("SeedOss", {"head_dim": 8, "attention_bias": True}),
}

RENAMED = {"PhimoeForCausalLM": "PhiMoEForCausalLM"}
"""Classes that the converter knows by the name in published files."""


def main() -> None:
    sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]) / "gguf-py")]
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or MODELS:
        make(name)


def make(name: str) -> None:
    import torch
    import transformers

    class_name, values = MODELS[name]
    kinds = (f"{class_name}TextConfig", f"{class_name}Config")
    kind = next(kind for kind in kinds if hasattr(transformers, kind))
    config = getattr(transformers, kind)(**{**COMMON, **values})
    model = randomized(getattr(transformers, f"{class_name}ForCausalLM"), config, name)
    tokens = some_tokens()
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens)[None], use_cache=False).logits[0].numpy()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        class_name = type(model).__name__
        write(name, Path(folder), RENAMED.get(class_name, class_name), tokens, logits)


def some_tokens() -> Any:
    """The ids that models are given."""
    return np.random.default_rng(0).integers(N_VOCAB, size=N_TOKENS)


def randomized(model_class: Any, config: Any, name: str) -> Any:
    """A model with larger weights than models begin with, so that every part shows."""
    import torch

    config._attn_implementation = "eager"
    torch.manual_seed(sum(name.encode()))
    model = model_class(config).float().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.8 * parameter.shape[-1] ** -0.5)
            elif key.endswith(("norm.weight", "Norm.weight")):
                parameter.uniform_(0.5, 1.5)
            elif key.endswith("bias"):
                parameter.normal_(0, 0.1)
        for key, buffer in model.named_buffers():
            if key.endswith("e_score_correction_bias"):
                buffer.uniform_(0, 0.2)
    return model


def write(name: str, folder: Path, class_name: str, tokens: Any, logits: Any) -> None:
    """Write a model's file as llama.cpp's converter does, and what it should compute."""
    path = OUTPUT / f"{name}-f32.gguf"
    convert(folder, class_name, path)
    np.savez_compressed(
        OUTPUT / f"{name}.npz", tokens=tokens, hf=logits.astype(np.float32), tolerance=5e-4
    )
    print(name, path.stat().st_size, float(np.abs(logits).max()))


def convert(folder: Path, class_name: str, path: Path) -> None:
    """Have llama.cpp's converter write a file, without a vocabulary."""
    import torch
    from conversion import get_model_class
    from conversion.base import gguf

    converter = get_model_class(class_name)

    class WithoutVocabulary(converter):
        model_arch = converter.model_arch

        def set_vocab(self) -> None:
            self.gguf_writer.add_tokenizer_model("none")
            if f"{self.gguf_writer.arch}.vocab_size" not in self.gguf_writer.kv_data[0]:
                self.gguf_writer.add_vocab_size(N_VOCAB)

    with torch.inference_mode():
        WithoutVocabulary(
            folder, gguf.LlamaFileType.ALL_F32, path, hparams=None, model_name=path.stem
        ).write()


if __name__ == "__main__":
    main()
