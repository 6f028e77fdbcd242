"""Write a GGUF file of random weights in the shape of a known model, for measuring speed.

    python benches/random_model.py llama-1b Q4_K_M VOCABULARY.gguf OUT.gguf
    python benches/random_model.py llama-1b Q4_K_M VOCABULARY.gguf OUT.gguf --recite

Needs `pip install gguf`. Speed and memory do not depend on what the weights are, so these stand in
for models that need not be downloaded. The vocabulary is copied from another GGUF file, which may
have nothing else in it. The matrices repeat a pool of random blocks, shifted from row to row.

With --recite the text is known, for measuring speculation: each token is followed by that with the
next number, since the layers add next to nothing and the output matrix is the
embedding, moved by a row; the speed is the same. --errors 0.2 has a fifth of the rows elsewhere,
for a draft model that is wrong as often.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

Type = gguf.GGMLQuantizationType


@dataclass(frozen=True)
class Mix:
    """Which matrix has which type, as llama.cpp's quantizer chooses by default."""

    file_type: gguf.LlamaFileType
    base: Type
    output: Type
    """Of the output matrix, or of the embedding where that is both."""
    more: Type
    """Of attention's values and the second feed-forward matrix in some of the layers."""


MIXES = {
    "F16": Mix(gguf.LlamaFileType.MOSTLY_F16, Type.F16, Type.F16, Type.F16),
    "Q8_0": Mix(gguf.LlamaFileType.MOSTLY_Q8_0, Type.Q8_0, Type.Q8_0, Type.Q8_0),
    "Q6_K": Mix(gguf.LlamaFileType.MOSTLY_Q6_K, Type.Q6_K, Type.Q6_K, Type.Q6_K),
    "Q5_K_M": Mix(gguf.LlamaFileType.MOSTLY_Q5_K_M, Type.Q5_K, Type.Q6_K, Type.Q6_K),
    "Q4_K_M": Mix(gguf.LlamaFileType.MOSTLY_Q4_K_M, Type.Q4_K, Type.Q6_K, Type.Q6_K),
    "Q4_0": Mix(gguf.LlamaFileType.MOSTLY_Q4_0, Type.Q4_0, Type.Q6_K, Type.Q4_0),
}

SCALES = {
    Type.Q4_0: {0: 1.0},
    Type.Q8_0: {0: 1.0},
    Type.Q6_K: {208: 1.0},
    Type.Q5_K: {0: 1.0, 2: 15.5},
    Type.Q4_K: {0: 1.0, 2: 7.5},
}
"""Type -> where in its block are half-precision scales, and their ratio, for a mean of zero."""

BLOCKS = 131_071
"""In a pool: a prime, so that no two of that many rows are the same."""


@dataclass(frozen=True)
class Shape:
    """What the architecture leaves open."""

    architecture: str
    layers: int
    d: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    theta: float
    tied: bool = True
    head_norms: bool = False
    experts: int = 0
    experts_used: int = 0


SHAPES = {
    "llama-1b": Shape("llama", 16, 2048, 8192, 32, 8, 64, 5e5),
    "llama-160m": Shape("llama", 12, 768, 2048, 12, 4, 64, 5e5),
    "llama-8b": Shape("llama", 32, 4096, 14336, 32, 8, 128, 5e5, tied=False),
    "qwen3-0.6b": Shape("qwen3", 28, 1024, 3072, 16, 8, 128, 1e6, head_norms=True),
    # Half the experts of OLMoE 1B-7B, and half as many used, in Mixtral's form.
    "moe-4b": Shape("llama", 16, 2048, 1024, 16, 16, 128, 1e4, experts=32, experts_used=4),
}

Rows = tuple[int, ...]
Bytes = npt.NDArray[np.uint8]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("mix", choices=MIXES, help="types of the matrices")
    parser.add_argument("vocabulary", type=Path, help="a GGUF file to copy the vocabulary from")
    parser.add_argument("out", type=Path)
    parser.add_argument("--recite", action="store_true", help="token n is followed by n + 1")
    parser.add_argument("--errors", type=float, default=0.0, help="part of the tokens that are not")
    options = parser.parse_args(sys.argv[1:])
    recital = Recital(options.errors) if options.recite else None
    write(options.shape, options.mix, options.vocabulary, options.out, recital)


@dataclass(frozen=True)
class Recital:
    """Token n is followed by n + 1, but for a part of them."""

    errors: float = 0.0

    def output(self, embedding: Bytes) -> Bytes:
        """The output matrix for an embedding with rows of equal length."""
        random = np.random.default_rng(2)
        before = np.roll(np.arange(len(embedding)), 1)
        wrong = np.flatnonzero(random.random(len(embedding)) < self.errors)
        before[wrong] = before[random.permutation(wrong)]
        return embedding[before]


def write(
    shape_name: str, mix_name: str, vocabulary: Path, out: Path, recital: Recital | None = None
) -> None:
    """Write a file, with one tensor in memory at a time."""
    shape, mix = SHAPES[shape_name], MIXES[mix_name]
    writer = gguf.GGUFWriter(out, shape.architecture)
    writer.add_name(shape_name)
    writer.add_file_type(mix.file_type)
    n_vocab = _copy_vocabulary(gguf.GGUFReader(vocabulary), writer)
    _describe(shape, n_vocab, writer)
    vectors = dict(_vectors(shape))
    matrices = {name: (type_of(name, shape, mix), rows) for name, rows in _matrices(shape, n_vocab)}
    if recital:
        matrices["output.weight"] = matrices["token_embd.weight"]
    for name, size in vectors.items():
        writer.add_tensor_info(name, [size], np.dtype(np.float32), 4 * size)
    for name, (kind, rows) in matrices.items():
        shape_in_bytes, n_bytes = _size(kind, rows)
        writer.add_tensor_info(name, shape_in_bytes, np.dtype(np.uint8), n_bytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(0)
    for name, size in vectors.items():
        # Of the blocks nothing is heard, and the output is sure.
        scale = (0.01 if name.startswith("blk.") else 10.0) if recital else 1.0
        vector = scale * (1 + 0.05 * random.standard_normal(size))
        writer.write_tensor_data(vector.astype(np.float32))
    for name, (kind, rows) in matrices.items():
        if recital and name == "output.weight":
            writer.write_tensor_data(recital.output(_matrix("token_embd.weight", kind, rows)))
        else:
            writer.write_tensor_data(_matrix(name, kind, rows))
    writer.close()


def type_of(name: str, shape: Shape, mix: Mix) -> Type:
    """The type of a matrix; a router is in F32, as the usual converters leave it."""
    if "ffn_gate_inp" in name:
        return Type.F32
    if name == "output.weight" or (name == "token_embd.weight" and shape.tied):
        return mix.output
    if "attn_v" in name or "ffn_down" in name:
        layer, eighth = int(name.split(".")[1]), shape.layers // 8
        outside = not eighth <= layer < 7 * shape.layers // 8
        return mix.more if outside or (layer - eighth) % 3 == 2 else mix.base
    return mix.base


def _copy_vocabulary(source: gguf.GGUFReader, writer: gguf.GGUFWriter) -> int:
    for key, field in source.fields.items():
        if key.startswith("tokenizer."):
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], inner)
    return len(source.fields["tokenizer.ggml.tokens"].data)


def _describe(shape: Shape, n_vocab: int, writer: gguf.GGUFWriter) -> None:
    writer.add_vocab_size(n_vocab)
    writer.add_context_length(32768)
    writer.add_embedding_length(shape.d)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.theta)
    writer.add_layer_norm_rms_eps(1e-5)
    if shape.experts:
        writer.add_expert_count(shape.experts)
        writer.add_expert_used_count(shape.experts_used)


def _vectors(shape: Shape) -> Iterator[tuple[str, int]]:
    yield "output_norm.weight", shape.d
    for layer in range(shape.layers):
        yield f"blk.{layer}.attn_norm.weight", shape.d
        yield f"blk.{layer}.ffn_norm.weight", shape.d
        if shape.head_norms:
            yield f"blk.{layer}.attn_q_norm.weight", shape.head_dim
            yield f"blk.{layer}.attn_k_norm.weight", shape.head_dim


def _matrices(shape: Shape, n_vocab: int) -> Iterator[tuple[str, Rows]]:
    """Names and sizes, the input's last."""
    d, q, kv = shape.d, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    yield "token_embd.weight", (n_vocab, d)
    if not shape.tied:
        yield "output.weight", (n_vocab, d)
    stack = (shape.experts,) if shape.experts else ()
    suffix = "_exps" if shape.experts else ""
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield f"{block}attn_q.weight", (q, d)
        yield f"{block}attn_k.weight", (kv, d)
        yield f"{block}attn_v.weight", (kv, d)
        yield f"{block}attn_output.weight", (d, q)
        if shape.experts:
            yield f"{block}ffn_gate_inp.weight", (shape.experts, d)
        yield f"{block}ffn_gate{suffix}.weight", (*stack, shape.ffn, d)
        yield f"{block}ffn_up{suffix}.weight", (*stack, shape.ffn, d)
        yield f"{block}ffn_down{suffix}.weight", (*stack, d, shape.ffn)


def _size(kind: Type, rows: Rows) -> tuple[Rows, int]:
    """The shape in bytes, and their number."""
    block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    shape_in_bytes = (*rows[:-1], rows[-1] // block * n_bytes)
    return shape_in_bytes, int(np.prod(shape_in_bytes, dtype=np.int64))


def _matrix(name: str, kind: Type, rows: Rows) -> Bytes:
    """The pool over and over, in a scale that keeps the size of what it is multiplied with."""
    shape_in_bytes, n_bytes = _size(kind, rows)
    scale = 0.02 if name == "token_embd.weight" else rows[-1] ** -0.5
    return np.resize(_pool(kind, scale), n_bytes).reshape(shape_in_bytes)


@functools.cache
def _pool(kind: Type, scale: float) -> Bytes:
    """Random blocks whose weights have this standard deviation."""
    random = np.random.default_rng(1)
    if kind not in SCALES:
        floats = scale * random.standard_normal(256 * BLOCKS, dtype=np.float32)
        return gguf.quantize(floats, kind).view(np.uint8)
    blocks = random.integers(256, size=(BLOCKS, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    _set_scales(blocks, kind, 1.0)
    deviation = float(gguf.dequantize(blocks[:1000], kind).std())
    _set_scales(blocks, kind, scale / deviation)
    return blocks.reshape(-1)


def _set_scales(blocks: Bytes, kind: Type, scale: float) -> None:
    for place, ratio in SCALES[kind].items():
        blocks[:, place : place + 2] = np.array([scale * ratio], np.float16).view(np.uint8)


if __name__ == "__main__":
    main()
