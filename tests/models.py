"""Small llama files for tests that need a model but no data folder.

The weights are random except that the model follows a story: greedy decoding goes from each token
of `STORY` to the next, whatever came before, so tests know the text to expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

STORY = (
    *("▁Once", "▁upon", "▁a", "▁time", ",", "▁the", "▁caf", "<0xC3>", "<0xA9>", "▁cat", "▁found"),
    *("▁", "<0xF0>", "<0x9F>", "<0xA6>", "<0x8A>", ".", "</s>"),
)
"""Tokens, all different, with a character of two bytes and one of four; ends with end-of-text."""
STORY_TEXT = " Once upon a time, the café cat found 🦊."
"""What the tokens of the story say, as the continuation of something."""

ROUND = ("▁Once", "▁upon", "▁a", "▁time", ",")
"""A story that begins anew after its last token and never ends."""

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_CONTROL = [
    *("<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"),
    *("<|tool_call_start|>", "<|tool_call_end|>"),
]
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_WORDS = ["▁Once", "▁upon", "▁a", "▁time", "▁the", "▁caf", "▁cat", "▁found"]


def _pieces() -> list[str]:
    """Control tokens, bytes, single characters, and the words with all their beginnings.

    Merging goes from left to right, so a word is found when each of its beginnings is a token.
    """
    characters = [chr(code) for code in range(0x21, 0x7F)] + ["▁"]
    beginnings = [word[:length] for word in _WORDS for length in range(2, len(word) + 1)]
    return list(dict.fromkeys([*_CONTROL, *_BYTES, *characters, *beginnings]))


PIECES = _pieces()
ID = {piece: index for index, piece in enumerate(PIECES)}


@dataclass(frozen=True)
class Shape:
    """The sizes of a model; the defaults make a file of some 500 KB."""

    layers: int = 2
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 128
    context: int = 512


@dataclass(frozen=True)
class Tiny:
    """A file to write."""

    shape: Shape = field(default_factory=Shape)
    weight_type: str = "F32"
    """A ggml type that the gguf package quantizes to, such as "Q8_0"; its blocks must fit."""
    story: Sequence[str] = STORY
    vocabulary: bool = True
    chat_template: str | None = CHAT_TEMPLATE
    seed: int = 0
    broken: int | None = None
    """A token whose embedding is NaN."""

    def write(self, path: Path) -> Path:
        """Write the file and give its path back."""
        writer = gguf.GGUFWriter(path, "llama")
        self._add_hyperparameters(writer)
        if self.vocabulary:
            self._add_vocabulary(writer)
        for name, weights in self._weights().items():
            self._add_tensor(writer, name, weights)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _add_hyperparameters(self, writer: gguf.GGUFWriter) -> None:
        shape = self.shape
        writer.add_name("tiny")
        writer.add_block_count(shape.layers)
        writer.add_context_length(shape.context)
        writer.add_embedding_length(shape.width)
        writer.add_feed_forward_length(shape.hidden)
        writer.add_head_count(shape.heads)
        writer.add_head_count_kv(shape.kv_heads)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(shape.width // shape.heads)
        writer.add_vocab_size(len(PIECES))

    def _add_vocabulary(self, writer: gguf.GGUFWriter) -> None:
        types = [gguf.TokenType.NORMAL] * len(PIECES)
        types[: len(_CONTROL)] = [gguf.TokenType.CONTROL] * len(_CONTROL)
        types[0] = gguf.TokenType.UNKNOWN
        for byte in _BYTES:
            types[ID[byte]] = gguf.TokenType.BYTE
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(PIECES)
        writer.add_token_scores([-float(index) for index in range(len(PIECES))])
        writer.add_token_types(types)
        writer.add_unk_token_id(ID["<unk>"])
        writer.add_bos_token_id(ID["<s>"])
        writer.add_eos_token_id(ID["</s>"])
        writer.add_add_bos_token(True)
        if self.chat_template is not None:
            writer.add_chat_template(self.chat_template)

    def _add_tensor(self, writer: gguf.GGUFWriter, name: str, weights: np.ndarray) -> None:
        kind = gguf.GGMLQuantizationType[self.weight_type]
        if weights.ndim == 1 or kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(name, weights)
        else:
            writer.add_tensor(name, gguf.quantize(weights, kind), raw_dtype=kind)

    def _weights(self) -> dict[str, np.ndarray]:
        shape = self.shape
        random = np.random.default_rng(self.seed)

        def matrix(rows: int, columns: int) -> np.ndarray:
            deviation = np.float32(1 / np.sqrt(columns))
            values: np.ndarray = random.standard_normal((rows, columns), dtype=np.float32)
            values *= deviation
            return values

        kv_width = shape.width // shape.heads * shape.kv_heads
        embedding = matrix(len(PIECES), shape.width)
        output = self._output(embedding, matrix(len(PIECES), shape.width))
        if self.broken is not None:
            embedding[self.broken] = np.nan
        weights = {
            "token_embd.weight": embedding,
            "output.weight": output,
            "output_norm.weight": np.ones(shape.width, np.float32),
        }
        for layer in range(shape.layers):
            block = {
                "attn_norm": np.ones(shape.width, np.float32),
                "attn_q": matrix(shape.width, shape.width),
                "attn_k": matrix(kv_width, shape.width),
                "attn_v": matrix(kv_width, shape.width),
                # The layers compute but add nothing of weight to what the embedding says.
                "attn_output": matrix(shape.width, shape.width) * np.float32(1e-3),
                "ffn_norm": np.ones(shape.width, np.float32),
                "ffn_gate": matrix(shape.hidden, shape.width),
                "ffn_up": matrix(shape.hidden, shape.width),
                "ffn_down": matrix(shape.width, shape.hidden) * np.float32(1e-3),
            }
            weights |= {f"blk.{layer}.{name}.weight": value for name, value in block.items()}
        return weights

    def _output(self, embedding: np.ndarray, output: np.ndarray) -> np.ndarray:
        """An output matrix that prefers each token's successor in the story by a wide margin."""
        story = [ID[piece] for piece in self.story]
        follows = dict(zip(story, story[1:], strict=False))
        for start in ("<s>", "<|assistant|>"):
            follows[ID[start]] = story[0]
        if story[-1] != ID["</s>"]:
            follows[story[-1]] = story[0]
        output[list(follows.values())] = 0
        for token, successor in follows.items():
            output[successor] += 4 * embedding[token]
        return output
