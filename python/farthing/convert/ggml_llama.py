"""Files of the llama family from before GGUF: GGML, GGMF version 1, GGJT versions 1 to 3.

The formats: llama.cpp's loaders of March to August 2023. After the magic and, but for GGML, a
version: seven uint32 (vocabulary, width, n_mult, heads, layers, rotary width, file type); the
vocabulary, each token its length, bytes and, but for GGML, its score; the tensors up to the end,
each the number of dimensions, length of its name, type, dimensions (fastest first), name and data,
which in GGJT begin at a multiple of 32 bytes. The rows of queries and keys are in the order that
GGUF has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from farthing.convert.contents import (
    Contents,
    Options,
    Tensor,
    Value,
    floats,
    integers,
    tensor_at_position,
)
from farthing.convert.old_blocks import BEFORE_GGJT_V2, GGJT_V2, OldBlock
from farthing.convert.reader import Reader

EPS = 5e-6
"""Default epsilon: between those of Llama 1 (1e-6) and Llama 2 (1e-5), which no file states."""
CONTEXT_LENGTH = 2048
"""Default length of context: that of Llama 1, which fits Llama 2 (4096) too."""
ROPE_BASE = 10000.0
"""Default base of the rotary frequencies."""

_MOST = 1 << 20
"""Bound of every hyperparameter."""
_LONGEST_TOKEN = 4096
_LONGEST_NAME = 255
_UNKNOWN, _BOS, _EOS = 0, 1, 2
_SPECIAL = ("<unk>", "<s>", "</s>")
_FIRST_BYTE, _FIRST_PIECE = 3, 259
"""Llama's vocabulary begins with three special tokens and the 256 bytes."""
_NORMAL, _UNKNOWN_TYPE, _CONTROL, _BYTE = 1, 2, 3, 6

_NAMES = {
    "tok_embeddings": "token_embd",
    "norm": "output_norm",
    "output": "output",
    "attention_norm": "attn_norm",
    "attention.wq": "attn_q",
    "attention.wk": "attn_k",
    "attention.wv": "attn_v",
    "attention.wo": "attn_output",
    "ffn_norm": "ffn_norm",
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w2": "ffn_down",
    "feed_forward.w3": "ffn_up",
}


@dataclass(frozen=True)
class _Version:
    old: Mapping[str, OldBlock]
    scores: bool = True
    alignment: int = 1


_VERSIONS = {
    ("GGML", None): _Version(BEFORE_GGJT_V2, scores=False),
    ("GGMF", 1): _Version(BEFORE_GGJT_V2),
    ("GGJT", 1): _Version(BEFORE_GGJT_V2, alignment=32),
    ("GGJT", 2): _Version(GGJT_V2, alignment=32),
    ("GGJT", 3): _Version({}, alignment=32),
}


def read(reader: Reader, options: Options) -> Contents:
    """What a file holds; the reader stands at its magic."""
    # The magics are numbers, so their letters are in the file from last to first.
    name = reader.take(4, "the magic")[::-1].decode().upper()
    number = None if name == "GGML" else reader.u32("the version")
    version = _VERSIONS.get((name, number))
    if version is None:
        known = ", ".join(str(row[1]) for row in _VERSIONS if row[0] == name)
        raise reader.error(f"{name} version {number} is not known, known are: {known}", at=4)
    n_vocab = reader.count("the size of the vocabulary", _MOST, least=_FIRST_BYTE)
    width = reader.count("the width", _MOST)
    reader.u32("n_mult")
    n_heads = reader.count("the number of heads", _MOST)
    n_layers = reader.count("the number of layers", _MOST)
    reader.u32("the rotary width")
    file_type = reader.u32("the file type")
    if width % n_heads:
        raise reader.error(f"the width {width} is not a multiple of the {n_heads} heads")
    vocabulary = _vocabulary(reader, n_vocab, version.scores)
    tensors = _tensors(reader, version)
    shapes = _check(reader, tensors, n_vocab, width)
    head = width // n_heads
    metadata: dict[str, Value] = {
        "general.architecture": "llama",
        "general.name": reader.path.stem,
        "general.file_type": file_type,
        "general.quantization_version": 2,
        "llama.vocab_size": n_vocab,
        "llama.context_length": options.context_length or CONTEXT_LENGTH,
        "llama.embedding_length": width,
        "llama.block_count": n_layers,
        "llama.feed_forward_length": shapes["blk.0.ffn_gate.weight"][1],
        "llama.rope.dimension_count": head,
        "llama.rope.freq_base": options.rope_base or ROPE_BASE,
        "llama.attention.head_count": n_heads,
        "llama.attention.head_count_kv": shapes["blk.0.attn_k.weight"][1] // head,
        "llama.attention.layer_norm_rms_epsilon": options.eps or EPS,
    }
    return Contents(metadata | vocabulary, tensors)


def _vocabulary(reader: Reader, n_vocab: int, with_scores: bool) -> dict[str, Value]:
    tokens: list[str | bytes] = []
    scores: list[float] = []
    types: list[int] = []
    for token_id in range(n_vocab):
        what = f"token {token_id}"
        length = reader.count(f"the length of {what}", _LONGEST_TOKEN, least=0)
        raw = reader.take(length, what)
        # Pieces are numbered in the order they merge in, and SentencePiece's score is that number,
        # negative: so GGML files lack nothing.
        score = reader.f32(f"the score of {what}") if with_scores else _score(token_id)
        token, kind = _token(token_id, raw)
        tokens.append(token)
        scores.append(score)
        types.append(kind)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": floats(scores),
        "tokenizer.ggml.token_type": integers(types),
        "tokenizer.ggml.unknown_token_id": _UNKNOWN,
        "tokenizer.ggml.bos_token_id": _BOS,
        "tokenizer.ggml.eos_token_id": _EOS,
    }


def _score(token_id: int) -> float:
    return float(min(0, _FIRST_PIECE - token_id))


def _token(token_id: int, raw: bytes) -> tuple[str | bytes, int]:
    """The token as SentencePiece writes it, and its type; the files have what it means."""
    if token_id < _FIRST_BYTE:
        return _SPECIAL[token_id], _UNKNOWN_TYPE if token_id == _UNKNOWN else _CONTROL
    if not raw:
        return raw, _CONTROL
    # Half a character is no piece either.
    if len(raw) == 1 and (token_id < _FIRST_PIECE or raw[0] >= 0x80):
        return f"<0x{raw[0]:02X}>", _BYTE
    return raw.replace(b" ", "\u2581".encode()), _NORMAL


def _tensors(reader: Reader, version: _Version) -> list[Tensor]:
    tensors: list[Tensor] = []
    while reader.left:
        what = f"tensor {len(tensors)}"
        rank = reader.count(f"the number of dimensions of {what}", 2)
        length = reader.count(f"the length of the name of {what}", _LONGEST_NAME)
        type_id = reader.u32(f"the type of {what}")
        shape = tuple(reader.count(f"a dimension of {what}", _MOST) for _ in range(rank))
        at = reader.tell()
        found = reader.text(length, f"the name of {what}")
        name = _gguf_name(found)
        if name is None:
            raise reader.error(
                f"{what} is {found!r}, which no model of the llama family has", at=at
            )
        reader.align(version.alignment)
        tensors.append(tensor_at_position(reader, name, shape, type_id, version.old))
    return tensors


def _gguf_name(found: str) -> str | None:
    stem, _, end = found.rpartition(".")
    place = ""
    if stem.startswith("layers."):
        _, number, stem = [*stem.split(".", 2), ""][:3]
        if not (number.isascii() and number.isdigit()):
            return None
        place = f"blk.{int(number)}."
    name = _NAMES.get(stem)
    return f"{place}{name}.weight" if name and end == "weight" else None


def _check(
    reader: Reader, tensors: list[Tensor], n_vocab: int, width: int
) -> dict[str, tuple[int, ...]]:
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    expected = {"token_embd.weight": (width, n_vocab)}
    for name in ("blk.0.ffn_gate.weight", "blk.0.attn_k.weight"):
        expected[name] = (width, shapes.get(name, (0, 0))[-1])
    for name, shape in expected.items():
        if name not in shapes:
            raise reader.error(f"there is no tensor {name} among the {len(shapes)}")
        if shapes[name] != shape:
            raise reader.error(
                f"tensor {name} has the shape {list(shapes[name])}, must have {list(shape)}; "
                "a file that is one of several parts cannot be converted"
            )
    return shapes
