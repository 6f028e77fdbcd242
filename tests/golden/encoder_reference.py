"""BERT's descendants in double precision, straight from a GGUF file: what vectors should be.

For those that transformers has no class for, written from the papers and the models' published
code: Jina embeddings 2 (also the variant for code, with norms of queries and keys) and Nomic BERT
with experts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class EncoderReference:
    """A model whose weights are doubles."""

    def __init__(self, path: Path) -> None:
        reader = gguf.GGUFReader(path)
        self._fields = {name: field.contents() for name, field in reader.fields.items()}
        self._weights = {
            tensor.name: gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
            for tensor in reader.tensors
        }
        self._architecture = self._fields["general.architecture"]
        self._heads = self._get("attention.head_count")

    def vectors(self, tokens: Sequence[int]) -> Array:
        """The last layer's output for each token, `[n_tokens, width]`."""
        x = self._weights["token_embd.weight"][list(tokens)]
        x = self._norm(x + self._weights["token_types.weight"][0], "token_embd_norm")
        for layer in range(self._get("block_count")):
            block = f"blk.{layer}"
            y = self._norm(x + self._attention(block, x), f"{block}.attn_output_norm")
            if f"{block}.attn_norm_2.weight" in self._weights:
                y = self._norm(x + y, f"{block}.attn_norm_2")
            x = self._norm(y + self._feed_forward(block, y), f"{block}.layer_output_norm")
        return x

    def _get(self, key: str) -> Any:
        return self._fields[f"{self._architecture}.{key}"]

    def _linear(self, name: str, x: Array) -> Array:
        return x @ self._weights[f"{name}.weight"].T + self._weights.get(f"{name}.bias", 0)

    def _norm(self, x: Array, name: str) -> Array:
        centered = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-12)
        weight, bias = (self._weights[f"{name}.{part}"] for part in ("weight", "bias"))
        return centered / deviation * weight + bias

    def _attention(self, block: str, x: Array) -> Array:
        n = len(x)
        if f"{block}.attn_qkv.weight" in self._weights:
            q, k, v = np.split(self._linear(f"{block}.attn_qkv", x), 3, axis=1)
        else:
            q, k, v = (self._linear(f"{block}.attn_{part}", x) for part in "qkv")
        if f"{block}.attn_q_norm.weight" in self._weights:
            q, k = (self._norm(y, f"{block}.attn_{p}_norm") for y, p in ((q, "q"), (k, "k")))
        q, k, v = (y.reshape(n, self._heads, -1) for y in (q, k, v))
        distances = np.abs(np.arange(n)[:, None] - np.arange(n))
        if self._architecture == "jina-bert-v2":
            bias = -np.array(alibi_slopes(self._heads))[:, None, None] * distances
        else:
            q, k, bias = self._rotate(q), self._rotate(k), np.zeros(1)
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1]) + bias
        out = np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(n, -1)
        return self._linear(f"{block}.attn_output", out)

    def _rotate(self, x: Array) -> Array:
        half = x.shape[-1] // 2
        frequencies = self._get("rope.freq_base") ** (-np.arange(half) / half)
        angles = np.arange(len(x))[:, None, None] * frequencies
        first, second = x[..., :half], x[..., half:]
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate((first * cos - second * sin, first * sin + second * cos), axis=-1)

    def _feed_forward(self, block: str, x: Array) -> Array:
        if f"{block}.ffn_gate_inp.weight" in self._weights:
            return self._experts(block, x)
        up = self._linear(f"{block}.ffn_up", x)
        if f"{block}.ffn_gate.weight" in self._weights:
            hidden = gelu(self._linear(f"{block}.ffn_gate", x)) * up
        elif up.shape[1] == self._get("feed_forward_length"):
            hidden = gelu(up)
        else:
            first, second = np.split(up, 2, axis=1)
            # The model for code has the gate last.
            last = f"{block}.attn_norm_2.weight" in self._weights
            hidden = first * gelu(second) if last else gelu(first) * second
        return self._linear(f"{block}.ffn_down", hidden)

    def _experts(self, block: str, x: Array) -> Array:
        """Shares are a softmax over all experts; those chosen keep theirs."""
        up, down = (self._weights[f"{block}.ffn_{part}_exps.weight"] for part in ("up", "down"))
        out = np.zeros_like(x)
        for row, shares in enumerate(softmax(self._linear(f"{block}.ffn_gate_inp", x))):
            for expert in np.argsort(-shares)[: self._get("expert_used_count")]:
                out[row] += shares[expert] * (down[expert] @ gelu(up[expert] @ x[row]))
        return out


def alibi_slopes(heads: int) -> list[float]:
    """Press et al. 2021, and the authors' way with numbers that are no powers of two."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    return slopes + (alibi_slopes(2 * power)[::2][: heads - power] if heads > power else [])


def gelu(x: Array) -> Array:
    """`x` times the normal distribution's cumulative function."""
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def softmax(x: Array) -> Array:
    """Along the last axis."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
