"""The llama forward pass in double precision, straight from a GGUF file: what logits should be.

Written from the papers and the GGUF specification, for clarity and small models: no cache, no
blocks, one matrix product after the other. It also knows qwen3, which is llama with normalized
queries and keys and the other order of rotary pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class FloatReference:
    """A model whose weights are dequantized to doubles.

    Keys and values are rounded as a cache of the type `kv_type` does it, block by block of a head
    where it has blocks; "f32" rounds nothing.
    """

    def __init__(self, path: Path, kv_type: str = "f32") -> None:
        reader = gguf.GGUFReader(path)
        self._fields = {name: field.contents() for name, field in reader.fields.items()}
        self._weights = {
            tensor.name.removesuffix(".weight"): gguf.dequantize(
                tensor.data, tensor.tensor_type
            ).astype(np.float64)
            for tensor in reader.tensors
        }
        for name, factors in list(self._weights.items()):
            if name.endswith(".scale"):
                matrix = name.removesuffix(".scale")
                self._weights[matrix] = (self._weights[matrix].T * factors).T
        self._architecture = self._fields["general.architecture"]
        if self._architecture not in ("llama", "qwen3"):
            raise ValueError(f"{path}: no reference for architecture {self._architecture!r}")
        self._kv_type = gguf.GGMLQuantizationType[kv_type.upper()]
        self._heads = self._get("attention.head_count")
        self._head_dim = self._get(
            "attention.key_length", self._get("embedding_length") // self._heads
        )
        self._frequencies, self._magnitude = self._rotary()

    def logits(self, tokens: Sequence[int]) -> Array:
        """The logits after each of the tokens, `[n_tokens, n_vocab]`."""
        embedding = self._weights["token_embd"]
        x = embedding[list(tokens)]
        for layer in range(self._get("block_count")):
            weight = partial(self._weight, layer)
            x = x + self._attention(weight, self._norm(x, weight("attn_norm")))
            x = x + self._feed_forward(weight, self._norm(x, weight("ffn_norm")))
        head = self._weights.get("output", embedding)
        return self._norm(x, self._weights["output_norm"]) @ head.T

    def _get(self, key: str, default: Any = None) -> Any:
        return self._fields.get(f"{self._architecture}.{key}", default)

    def _weight(self, layer: int, name: str) -> Array | None:
        return self._weights.get(f"blk.{layer}.{name}")

    def _norm(self, x: Array, weight: Array) -> Array:
        """RMSNorm (Zhang and Sennrich 2019)."""
        square = np.mean(x * x, axis=-1, keepdims=True)
        return x / np.sqrt(square + self._get("attention.layer_norm_rms_epsilon")) * weight

    def _attention(self, weight: Any, x: Array) -> Array:
        n = len(x)
        q, k, v = (
            (x @ weight(name).T).reshape(n, -1, self._head_dim)
            for name in ("attn_q", "attn_k", "attn_v")
        )
        if weight("attn_q_norm") is not None:
            q, k = self._norm(q, weight("attn_q_norm")), self._norm(k, weight("attn_k_norm"))
        q, k = self._rotate(q), self._rotate(k)
        k, v = self._stored(k), self._stored(v)
        group = self._heads // k.shape[1]
        k, v = (np.repeat(x, group, axis=1) for x in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(self._head_dim)
        scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
        out = np.einsum("hqk,khd->qhd", softmax(scores), v)
        return out.reshape(n, -1) @ weight("attn_output").T

    def _stored(self, x: Array) -> Array:
        """What the cache gives back of `x[position, head, value]`."""
        if self._kv_type == gguf.GGMLQuantizationType.F32:
            return x
        block = gguf.GGML_QUANT_SIZES[self._kv_type][0]
        padding = [(0, 0), (0, 0), (0, -x.shape[-1] % block)]
        whole = np.pad(x, padding).astype(np.float32)
        stored = gguf.dequantize(gguf.quantize(whole, self._kv_type), self._kv_type)
        return stored[..., : x.shape[-1]].astype(np.float64)

    def _feed_forward(self, weight: Any, x: Array) -> Array:
        if weight("ffn_gate_inp") is None:
            return swiglu(x, *(weight(f"ffn_{part}") for part in ("gate", "up", "down")))
        gate, up, down = (weight(f"ffn_{part}_exps") for part in ("gate", "up", "down"))
        out = np.zeros_like(x)
        for row, scores in enumerate(x @ weight("ffn_gate_inp").T):
            chosen = np.argsort(-scores, kind="stable")[: self._get("expert_used_count")]
            for expert, share in zip(chosen, softmax(scores[chosen]), strict=True):
                out[row] += share * swiglu(x[row], gate[expert], up[expert], down[expert])
        return out

    def _rotary(self) -> tuple[Array, float]:
        """The angle per position of each pair, and the factor of rotated values."""
        dims = self._get("rope.dimension_count", self._head_dim)
        base = self._get("rope.freq_base", 10000.0)
        frequencies = base ** (-np.arange(0, dims, 2) / dims)
        frequencies = frequencies / self._weights.get("rope_freqs", 1.0)
        factor = self._get("rope.scaling.factor", 1.0)
        match self._get("rope.scaling.type", "none"):
            case "linear":
                return frequencies / factor, 1.0
            case "yarn":
                original = self._get("rope.scaling.original_context_length")
                kept = yarn_kept(dims, base, original)
                return frequencies * (kept + (1 - kept) / factor), 1 + 0.1 * math.log(factor)
            case _:
                return frequencies, 1.0

    def _rotate(self, x: Array) -> Array:
        """Rotary embedding (Su et al. 2021) of `x[position, head, value]`."""
        angles = np.arange(len(x))[:, None, None] * self._frequencies
        cos, sin = np.cos(angles) * self._magnitude, np.sin(angles) * self._magnitude
        pairs = len(self._frequencies)
        if self._architecture == "qwen3":
            first, second = np.arange(pairs), np.arange(pairs) + pairs
        else:
            first, second = np.arange(pairs) * 2, np.arange(pairs) * 2 + 1
        out = x.copy()
        out[..., first] = x[..., first] * cos - x[..., second] * sin
        out[..., second] = x[..., first] * sin + x[..., second] * cos
        return out


def yarn_kept(dims: int, base: float, original: int) -> Array:
    """How much of each pair's frequency YaRN keeps (Peng et al. 2023, section 3.2).

    All where a pair turns more than 32 times in the original context, nothing below one turn, and a
    ramp between, whose ends are rounded outwards to whole pairs.
    """

    def pair(turns: float) -> float:
        return dims * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

    low, high = max(math.floor(pair(32)), 0), min(math.ceil(pair(1)), dims - 1)
    return 1 - np.clip((np.arange(dims // 2) - low) / max(high - low, 0.001), 0, 1)


def swiglu(x: Array, gate: Array, up: Array, down: Array) -> Array:
    """The gated feed-forward layer of Shazeer 2020."""
    gated = x @ gate.T
    return gated / (1 + np.exp(-gated)) * (x @ up.T) @ down.T


def softmax(x: Array) -> Array:
    """Along the last axis."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def negative_log_likelihood(logits: npt.NDArray[Any], tokens: Sequence[int]) -> Array:
    """Of each token but the first, given those before it; logits as after each of the tokens."""
    rows = logits[:-1].astype(np.float64)
    rows = rows - rows.max(axis=1, keepdims=True)
    chosen = rows[np.arange(len(rows)), list(tokens[1:])]
    return np.log(np.exp(rows).sum(axis=1)) - chosen
