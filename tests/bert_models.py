"""Small BERT files for tests that need an encoder with a vocabulary but no data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

WORDS = ("fox", "cat", "dog", "ran", "sat", "home", "quick", "red", "the", "a", "##s", "##ing")
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)
ID = {token: index for index, token in enumerate(TOKENS)}
WIDTH, HEADS, HIDDEN, LAYERS, CONTEXT = 32, 4, 48, 2, 40


@dataclass(frozen=True)
class TinyBert:
    """A file to write: an encoder of random weights, or with a classifier a reranker."""

    classifier: bool = False
    pooling: gguf.PoolingType | None = None
    seed: int = 0

    def write(self, path: Path) -> Path:
        """Write the file and give its path back."""
        writer = gguf.GGUFWriter(path, "bert")
        writer.add_block_count(LAYERS)
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(WIDTH)
        writer.add_feed_forward_length(HIDDEN)
        writer.add_head_count(HEADS)
        writer.add_layer_norm_eps(1e-12)
        writer.add_causal_attention(False)
        if self.pooling is not None:
            writer.add_pooling_type(self.pooling)
        self._add_vocabulary(writer)
        for name, weights in self._weights().items():
            writer.add_tensor(name, weights)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _add_vocabulary(self, writer: gguf.GGUFWriter) -> None:
        # Files write the start of a word as U+2581 and later parts bare.
        words = [w[2:] if w.startswith("##") else f"▁{w}" for w in WORDS]
        n_special = len(TOKENS) - len(WORDS)
        types = [gguf.TokenType.CONTROL] * n_special + [gguf.TokenType.NORMAL] * len(WORDS)
        types[ID["[UNK]"]] = gguf.TokenType.UNKNOWN
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([*TOKENS[:n_special], *words])
        writer.add_token_types(types)
        writer.add_bos_token_id(ID["[CLS]"])
        writer.add_eos_token_id(ID["[SEP]"])
        writer.add_unk_token_id(ID["[UNK]"])
        writer.add_sep_token_id(ID["[SEP]"])
        writer.add_pad_token_id(ID["[PAD]"])
        writer.add_mask_token_id(ID["[MASK]"])
        writer.add_token_type_count(2)

    def _weights(self) -> dict[str, npt.NDArray[np.float32]]:
        random = np.random.default_rng(self.seed)

        def matrix(rows: int, columns: int) -> npt.NDArray[np.float32]:
            deviation = np.float32(1.5 / np.sqrt(columns))
            return deviation * random.standard_normal((rows, columns), dtype=np.float32)

        def norm(name: str) -> dict[str, npt.NDArray[np.float32]]:
            ones, zeros = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
            return {f"{name}.weight": ones, f"{name}.bias": zeros}

        weights = {
            "token_embd.weight": matrix(len(TOKENS), WIDTH),
            "token_types.weight": matrix(2, WIDTH),
            "position_embd.weight": matrix(CONTEXT, WIDTH),
            **norm("token_embd_norm"),
        }
        for layer in range(LAYERS):
            block = f"blk.{layer}"
            shapes = {
                **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH)),
                "ffn_up": (HIDDEN, WIDTH),
                "ffn_down": (WIDTH, HIDDEN),
            }
            for name, shape in shapes.items():
                weights[f"{block}.{name}.weight"] = matrix(*shape)
                weights[f"{block}.{name}.bias"] = np.zeros(shape[0], np.float32)
            weights |= norm(f"{block}.attn_output_norm") | norm(f"{block}.layer_output_norm")
        if self.classifier:
            weights["cls.weight"] = matrix(WIDTH, WIDTH)
            weights["cls.output.weight"] = matrix(1, WIDTH)
        return weights
