"""Small files of random weights for encoders that transformers has no class for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

N_VOCAB = 96
LAYERS = 4
CONTEXT = 256


@dataclass(frozen=True)
class SmallEncoder:
    """A file to write."""

    architecture: str
    width: int = 48
    heads: int = 4
    hidden: int = 40
    gate: str | None = None
    """Where the gate is: "fused" with `ffn_up` or "apart"; None if there is none."""
    experts: int = 0
    """How many there are in every other layer, two of which are used for each token."""
    for_code: bool = False
    """With norms of queries and keys and a second one of the stream."""

    def write(self, path: Path, seed: int = 0) -> Path:
        """Write the file and give its path back."""
        writer = gguf.GGUFWriter(path, self.architecture)
        writer.add_block_count(LAYERS)
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(self.width)
        writer.add_feed_forward_length(self.hidden)
        writer.add_head_count(self.heads)
        writer.add_layer_norm_eps(1e-12)
        writer.add_causal_attention(False)
        writer.add_pooling_type(gguf.PoolingType.MEAN)
        writer.add_tokenizer_model("none")
        if self.experts:
            writer.add_rope_freq_base(1000.0)
            writer.add_moe_every_n_layers(2)
            writer.add_expert_count(self.experts)
            writer.add_expert_used_count(2)
        for name, weights in self._tensors(np.random.default_rng(seed)):
            writer.add_tensor(name, weights)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _tensors(
        self, random: np.random.Generator
    ) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        width, hidden = self.width, self.hidden

        def matrix(*shape: int) -> npt.NDArray[np.float32]:
            deviation = np.float32(1.5 / np.sqrt(shape[-1]))
            return deviation * random.standard_normal(shape, dtype=np.float32)

        def vector(size: int, mean: float = 0.0) -> npt.NDArray[np.float32]:
            return np.float32(mean) + random.standard_normal(size, dtype=np.float32) / 8

        yield "token_embd.weight", matrix(N_VOCAB, width)
        yield "token_types.weight", matrix(2, width)
        norms = ["token_embd_norm"]
        for layer in range(LAYERS):
            block = f"blk.{layer}"
            norms += [f"{block}.attn_output_norm", f"{block}.layer_output_norm"]
            if self.for_code:
                norms += [f"{block}.attn_{part}" for part in ("q_norm", "k_norm", "norm_2")]
            parts = {"qkv": 3 * width} if self.experts else dict.fromkeys("qkv", width)
            for part, rows in {**parts, "output": width}.items():
                yield f"{block}.attn_{part}.weight", matrix(rows, width)
                yield f"{block}.attn_{part}.bias", vector(rows)
            if self.experts and layer % 2 == 1:
                yield f"{block}.ffn_gate_inp.weight", matrix(self.experts, width)
                yield f"{block}.ffn_up_exps.weight", matrix(self.experts, hidden, width)
                yield f"{block}.ffn_down_exps.weight", matrix(self.experts, width, hidden)
                continue
            if self.gate == "apart":
                yield f"{block}.ffn_gate.weight", matrix(hidden, width)
            rows = 2 * hidden if self.gate == "fused" else hidden
            yield f"{block}.ffn_up.weight", matrix(rows, width)
            yield f"{block}.ffn_down.weight", matrix(width, hidden)
            yield f"{block}.ffn_down.bias", vector(width)
        for name in norms:
            yield f"{name}.weight", vector(width, 1.0)
            yield f"{name}.bias", vector(width)


def tokens(n: int, seed: int = 0) -> list[int]:
    """Random ids."""
    return np.random.default_rng(seed).integers(N_VOCAB, size=n).tolist()
