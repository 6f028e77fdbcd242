"""Writes files of the formats that are converted, after their definitions."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

LLAMA_NAMES = {
    "token_embd": "tok_embeddings",
    "output_norm": "norm",
    "output": "output",
    "attn_norm": "attention_norm",
    "attn_q": "attention.wq",
    "attn_k": "attention.wk",
    "attn_v": "attention.wv",
    "attn_output": "attention.wo",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "feed_forward.w1",
    "ffn_down": "feed_forward.w2",
    "ffn_up": "feed_forward.w3",
}
CHATGLM_NAMES = {
    "token_embd": "transformer.embedding.word_embeddings",
    "output_norm": "transformer.encoder.final_layernorm",
    "output": "transformer.output_layer",
    "attn_norm": "input_layernorm",
    "attn_qkv": "self_attention.query_key_value",
    "attn_output": "self_attention.dense",
    "ffn_norm": "post_attention_layernorm",
    "ffn_up": "mlp.dense_h_to_4h",
    "ffn_down": "mlp.dense_4h_to_h",
}


@dataclass(frozen=True)
class Original:
    """A GGUF file whose weights go into an old file."""

    metadata: dict[str, Any]
    tensors: dict[str, tuple[tuple[int, ...], int, bytes]]
    """Shape, fastest dimension first, type and bytes."""

    @classmethod
    def read(cls, path: Path) -> Original:
        """Read a file."""
        reader = gguf.GGUFReader(path)
        return cls(
            {key: field.contents() for key, field in reader.fields.items()},
            {
                tensor.name: (
                    tuple(int(size) for size in tensor.shape),
                    int(tensor.tensor_type),
                    tensor.data.tobytes(),
                )
                for tensor in reader.tensors
            },
        )

    def named(self, names: dict[str, str], layer: str) -> Iterable[tuple[str, Any]]:
        """The tensors by the names of another project."""
        for name, tensor in self.tensors.items():
            if name.startswith("blk."):
                _, number, stem, end = name.split(".")
                yield f"{layer}{number}.{names[stem]}.{end}", tensor
            else:
                stem, end = name.split(".")
                yield f"{names[stem]}.{end}", tensor


def neighbours(halves: np.ndarray) -> np.ndarray:
    """Packed weights i and i + 16 of a byte, packed again as 2i and 2i + 1."""
    old = np.empty_like(halves)
    for block, packed in enumerate(halves):
        weights = [int(byte) & 15 for byte in packed] + [int(byte) >> 4 for byte in packed]
        for at in range(16):
            old[block, at] = weights[2 * at] | weights[2 * at + 1] << 4
    return old


def old_blocks(type_id: int, data: bytes, *, version: int) -> bytes:
    """Today's blocks as the GGJT version had them; 0 stands for what was before GGJT."""
    kind = gguf.GGMLQuantizationType(type_id)
    if kind.name in ("F32", "F16") or version == 3:
        return data
    blocks = np.frombuffer(data, np.uint8).reshape(-1, gguf.GGML_QUANT_SIZES[kind][1])
    n_scales = 2 if kind.name.endswith("_1") else 1
    scales, rest = blocks[:, : 2 * n_scales], blocks[:, 2 * n_scales :].copy()
    if not kind.name.startswith("Q5"):
        scales = scales.copy().view(np.float16).astype(np.float32).view(np.uint8)
    if version < 2 and kind.name != "Q8_0":
        rest[:, -16:] = neighbours(rest[:, -16:])
    return np.concatenate([scales, rest], axis=1).tobytes()


def llama(path: Path, original: Original, magic: str, version: int | None) -> Path:
    """Write a GGML (version None), GGMF or GGJT file."""
    about = original.metadata
    tokens = about["tokenizer.ggml.tokens"]
    width, heads = about["llama.embedding_length"], about["llama.attention.head_count"]
    layers = about["llama.block_count"]
    (magic_number,) = struct.unpack(">I", magic.lower().encode())
    out = bytearray(struct.pack("<I", magic_number))
    if version is not None:
        out += struct.pack("<I", version)
    out += struct.pack("<7I", len(tokens), width, 32, heads, layers, width // heads, 0)
    for token, score in zip(tokens, about["tokenizer.ggml.scores"], strict=True):
        raw = _meaning(token)
        out += struct.pack("<I", len(raw)) + raw
        if version is not None:
            out += struct.pack("<f", score)
    for name, (shape, type_id, data) in original.named(LLAMA_NAMES, "layers."):
        out += struct.pack(f"<3I{len(shape)}I", len(shape), len(name), type_id, *shape)
        out += name.encode()
        if magic == "GGJT":
            out += bytes(-len(out) % 32)
        out += old_blocks(type_id, data, version=(version or 0) if magic == "GGJT" else 0)
    path.write_bytes(out)
    return path


def _meaning(token: str) -> bytes:
    if token.startswith("<0x"):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode()


@dataclass(frozen=True)
class ChatGlm:
    """A file of chatglm.cpp."""

    model: int
    vocabulary: bytes
    version: int = 2
    eos: int = 2
    prefix: int = 0

    def write(self, path: Path, original: Original) -> Path:
        """Write it with the weights of a GGUF file."""
        out = bytearray(b"ggml" + struct.pack("<2i", self.model, self.version))
        out += self._config(original.metadata)
        out += struct.pack("<i", len(self.vocabulary)) + self.vocabulary
        for name, (shape, type_id, data) in original.named(
            CHATGLM_NAMES, "transformer.encoder.layers."
        ):
            out += struct.pack("<i", len(name)) + name.encode()
            out += struct.pack(f"<i{len(shape)}ii", len(shape), *shape[::-1], type_id)
            out += bytes(-len(out) % 16) + data
        path.write_bytes(out)
        return path

    def _config(self, about: dict[str, Any]) -> bytes:
        def key(name: str) -> Any:
            return about[f"chatglm.{name}"]

        head = [0, key("vocab_size"), key("embedding_length"), key("attention.head_count")]
        kv_heads = key("attention.head_count_kv")
        inside = [key("block_count"), key("feed_forward_length")]
        context = key("context_length")
        if self.version == 1:
            record = [*head, *inside, context, 1, self.eos, 3, -1, kv_heads]
            return struct.pack("<12i", *record)
        return struct.pack(
            "<7ififiii",
            *(*head, kv_heads, *inside),
            key("attention.layer_norm_rms_epsilon"),
            self.prefix,
            key("rope.freq_base"),
            *(context, self.eos, -1),
        )


def sentencepiece(pieces: Sequence[tuple[str, float, int]], model_type: int = 2) -> bytes:
    """A serialized SentencePiece model: text, score and type of each piece."""

    def field(number: int, data: bytes) -> bytes:
        return _varint(number << 3 | 2) + _varint(len(data)) + data

    out = b""
    for text, score, kind in pieces:
        piece = field(1, text.encode()) + _varint(2 << 3 | 5) + struct.pack("<f", score)
        out += field(1, piece + _varint(3 << 3) + _varint(kind))
    trainer = _varint(3 << 3) + _varint(model_type)
    normalizer = field(1, b"identity") + _varint(3 << 3) + _varint(1)
    return out + field(2, trainer) + field(3, normalizer)


def _varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


Edit = Callable[[bytearray], None]


def edited(path: Path, edit: Edit) -> Path:
    """The file with something changed."""
    data = bytearray(path.read_bytes())
    edit(data)
    path.write_bytes(data)
    return path
