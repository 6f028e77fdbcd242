"""Small files of random weights, without a vocabulary, for each thing a llama model may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from blocks import random_blocks

N_VOCAB = 96
LAYERS = 2
CONTEXT = 256


@dataclass(frozen=True)
class Small:
    """A file to write: grouped heads and 2 layers, and what the fields say."""

    architecture: str = "llama"
    weight_type: str = "F32"
    """Of the matrices; a ggml type whose blocks fit."""
    scales: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Factors of matrices' products, in tensors beside them."""
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    """Where it is not the width by the heads, the file says so."""
    rotated: int | None = None
    """Values of each head that turn; all of them if nothing is said."""
    hidden: int = 160
    tied: bool = False
    experts: int = 0
    """How many there are, two of which are used for each token; 0 for a plain layer."""
    qk_norm: bool = False
    rope_factors: bool = False
    """Llama 3.1's divisors of the frequencies."""
    scaling: str | None = None
    """"linear" or "yarn", from 64 tokens to the context."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Values in place of others by keys without the architecture's name; `None` leaves one out."""

    def write(self, path: Path, seed: int = 0) -> Path:
        """Write the file and give its path back."""
        writer = gguf.GGUFWriter(path, self.architecture)
        self._add_hyperparameters(writer)
        for name, weights in self._weights(np.random.default_rng(seed)).items():
            kind = gguf.GGMLQuantizationType[self.weight_type]
            if weights.ndim == 1 or name.endswith("ffn_gate_inp.weight"):
                kind = gguf.GGMLQuantizationType.F32
            writer.add_tensor(name, quantized(weights, kind), raw_dtype=kind)
        for name, factors in self.scales.items():
            writer.add_tensor(f"{name}.scale", np.array(factors, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _add_hyperparameters(self, writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(LAYERS)
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(self.width)
        writer.add_feed_forward_length(self.hidden)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(5000.0)
        if self.head_dim * self.heads != self.width:
            writer.add_key_length(self.head_dim)
            writer.add_value_length(self.head_dim)
        if self.rotated is not None:
            writer.add_rope_dimension_count(self.rotated)
        if self.experts:
            writer.add_expert_count(self.experts)
            writer.add_expert_used_count(2)
        if self.scaling is not None:
            writer.add_rope_scaling_type(gguf.RopeScalingType(self.scaling))
            writer.add_rope_scaling_factor(CONTEXT / 64)
            writer.add_rope_scaling_orig_ctx_len(64)
        writer.add_tokenizer_model("none")
        for key, value in self.metadata.items():
            writer.kv_data[0].pop(f"{self.architecture}.{key}", None)
            if value is not None:
                kind = gguf.GGUFValueType.get_type(value)
                writer.add_key_value(f"{self.architecture}.{key}", value, kind)

    def _weights(self, random: np.random.Generator) -> dict[str, npt.NDArray[np.float32]]:
        def matrix(*shape: int) -> npt.NDArray[np.float32]:
            # Enough for attention to prefer some tokens and for every layer to count.
            deviation = np.float32(1.5 / np.sqrt(shape[-1]))
            return deviation * random.standard_normal(shape, dtype=np.float32)

        def norm(size: int) -> npt.NDArray[np.float32]:
            return 1 + random.standard_normal(size, dtype=np.float32) / 8

        width, query, kv = self.width, self.heads * self.head_dim, self.kv_heads * self.head_dim
        weights = {"token_embd": matrix(N_VOCAB, width), "output_norm": norm(width)}
        if not self.tied:
            weights["output"] = matrix(N_VOCAB, width)
        if self.rope_factors:
            rotated = self.rotated or self.head_dim
            weights["rope_freqs"] = np.geomspace(1, 8, rotated // 2).astype(np.float32)
        stack, suffix = ((self.experts,), "_exps") if self.experts else ((), "")
        for layer in range(LAYERS):
            block = {
                "attn_norm": norm(width),
                "attn_q": matrix(query, width),
                "attn_k": matrix(kv, width),
                "attn_v": matrix(kv, width),
                "attn_output": matrix(width, query),
                "ffn_norm": norm(width),
                f"ffn_gate{suffix}": matrix(*stack, self.hidden, width),
                f"ffn_up{suffix}": matrix(*stack, self.hidden, width),
                f"ffn_down{suffix}": matrix(*stack, width, self.hidden),
            }
            if self.experts:
                block["ffn_gate_inp"] = matrix(self.experts, width)
            if self.qk_norm:
                block |= {"attn_q_norm": norm(self.head_dim), "attn_k_norm": norm(self.head_dim)}
            weights |= {f"blk.{layer}.{name}": value for name, value in block.items()}
        return {f"{name}.weight": value for name, value in weights.items()}


def quantized(
    weights: npt.NDArray[np.float32], kind: gguf.GGMLQuantizationType
) -> npt.NDArray[Any]:
    """The weights in a type, or others of their size where gguf cannot quantize to it."""
    try:
        return np.asarray(gguf.quantize(weights, kind))
    except NotImplementedError:
        random = np.random.default_rng(weights.view(np.uint32).flat[0])
        return random_blocks(weights.shape, kind.name, float(np.std(weights)), random)


def tokens(n: int, seed: int = 0) -> list[int]:
    """Random ids."""
    return np.random.default_rng(seed).integers(N_VOCAB, size=n).tolist()
