"""Files of chatglm.cpp: ChatGLM2, ChatGLM3 and GLM-4.

The format: chatglm.cpp's `convert.py` and `Pipeline`. After the magic the model's type and the
version of the record that follows, all numbers of 4 bytes; the length and bytes of the vocabulary;
the tensors up to the end, each the length of its name, name, number of dimensions, dimensions
(slowest first), type and data, which begin at a multiple of 16 bytes. Blocks are laid out as
today.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from farthing.convert import chatglm_vocabulary
from farthing.convert.contents import Contents, Options, Tensor, Value, tensor_at_position
from farthing.convert.reader import Reader
from farthing.errors import UnsupportedModelError

_ALIGNMENT = 16
_MOST = 1 << 20
"""Bound of sizes, but for the length of context."""
_LONGEST_CONTEXT = 1 << 30
_LONGEST_NAME = 255

_CHATGLM = 1
_VOCABULARIES: dict[int, tuple[str, Callable[[bytes, int], dict[str, Value]]]] = {
    2: ("ChatGLM2", chatglm_vocabulary.chatglm2),
    3: ("ChatGLM3", chatglm_vocabulary.chatglm3),
    4: ("GLM-4", chatglm_vocabulary.glm4),
}

_BEFORE = "transformer."
_NAMES = {
    "embedding.word_embeddings": "token_embd",
    "encoder.final_layernorm": "output_norm",
    "output_layer": "output",
    "input_layernorm": "attn_norm",
    "self_attention.query_key_value": "attn_qkv",
    "self_attention.dense": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    # The gate's rows, then those of what it is multiplied with.
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
}


@dataclass(frozen=True)
class _Config:
    vocabulary: int
    width: int
    heads: int
    kv_heads: int
    layers: int
    hidden: int
    context: int
    eos: int
    pad: int
    eps: float = 1e-5
    rope_base: float = 10000.0
    prefix: int = 0
    """Trained key and value vectors that come before the text."""


def read(reader: Reader, options: Options) -> Contents:
    """What a file holds; the reader stands at its magic."""
    reader.take(4, "the magic")
    model = reader.u32("the model's type")
    if model == _CHATGLM:
        raise UnsupportedModelError(
            f"{reader.path}: ChatGLM-6B (chatglm.cpp's type {model}) cannot be run: its positions "
            "have two dimensions and its attention looks ahead within the prompt"
        )
    if model not in _VOCABULARIES:
        known = ", ".join(f"{number} ({row[0]})" for number, row in _VOCABULARIES.items())
        raise UnsupportedModelError(
            f"{reader.path}: chatglm.cpp's model type {model} is not supported, only {known}"
        )
    name, vocabulary_of = _VOCABULARIES[model]
    config = _config(reader)
    if config.prefix:
        raise UnsupportedModelError(
            f"{reader.path}: has {config.prefix} trained prefix vectors (P-tuning), must have 0"
        )
    length = reader.u32("the length of the vocabulary")
    at = reader.tell()
    data = reader.take(length, "the vocabulary")
    try:
        vocabulary = vocabulary_of(data, config.vocabulary)
    except ValueError as error:
        raise reader.error(f"the vocabulary: {error}", at=at) from error
    tensors = _tensors(reader)
    _check(reader, config, tensors)
    head = config.width // config.heads
    metadata: dict[str, Value] = {
        "general.architecture": "chatglm",
        "general.name": name,
        "general.quantization_version": 2,
        "chatglm.vocab_size": config.vocabulary,
        "chatglm.context_length": options.context_length or config.context,
        "chatglm.embedding_length": config.width,
        "chatglm.feed_forward_length": config.hidden,
        "chatglm.block_count": config.layers,
        "chatglm.attention.head_count": config.heads,
        "chatglm.attention.head_count_kv": config.kv_heads,
        "chatglm.attention.layer_norm_rms_epsilon": options.eps or config.eps,
        "chatglm.rope.dimension_count": head // 2,
        "chatglm.rope.freq_base": options.rope_base or config.rope_base,
    }
    for key, token_id in (("eos", config.eos), ("padding", config.pad)):
        if 0 <= token_id < config.vocabulary:
            vocabulary[f"tokenizer.ggml.{key}_token_id"] = token_id
    return Contents(metadata | vocabulary, tensors)


def _config(reader: Reader) -> _Config:
    at = reader.tell()
    version = reader.u32("the version")
    if version not in (1, 2):
        raise reader.error(f"the version is {version}, known are 1 and 2", at=at)
    reader.u32("the type of the weights")
    size = {"vocabulary": reader.count("the size of the vocabulary", _MOST)}
    size["width"] = reader.count("the width", _MOST)
    at = reader.tell()
    size["heads"] = reader.count("the number of heads", _MOST)
    if version == 2:
        size["kv_heads"] = reader.count("the number of heads of keys", _MOST)
    size["layers"] = reader.count("the number of layers", _MOST)
    size["hidden"] = reader.count("the width within a layer", _MOST)
    if version == 2:
        eps = reader.f32("the epsilon of the norms")
        prefix = reader.u32("the number of prefix vectors")
        base = reader.f32("the rotary base")
        size["context"] = reader.count("the length of context", _LONGEST_CONTEXT)
        eos, pad = reader.i32("the id of the end"), reader.i32("the id of padding")
        config = _Config(**size, eos=eos, pad=pad, eps=eps, rope_base=base, prefix=prefix)
    else:
        size["context"] = reader.count("the length of context", _LONGEST_CONTEXT)
        reader.i32("the id of the beginning")
        eos, pad = reader.i32("the id of the end"), reader.i32("the id of padding")
        reader.i32("the id of the separator")
        size["kv_heads"] = reader.count("the number of heads of keys", _MOST)
        config = _Config(**size, eos=eos, pad=pad)
    if config.width % config.heads or config.heads % config.kv_heads:
        raise reader.error(
            f"width {config.width}, {config.heads} heads and {config.kv_heads} heads of keys must "
            "each be a multiple of the next",
            at=at,
        )
    return config


def _tensors(reader: Reader) -> list[Tensor]:
    tensors: list[Tensor] = []
    while reader.left:
        what = f"tensor {len(tensors)}"
        length = reader.count(f"the length of the name of {what}", _LONGEST_NAME)
        at = reader.tell()
        found = reader.text(length, f"the name of {what}")
        name = _gguf_name(found)
        if name is None:
            raise reader.error(f"{what} is {found!r}, which no ChatGLM has", at=at)
        rank = reader.count(f"the number of dimensions of tensor {found!r}", 2)
        sizes = [reader.count(f"a dimension of tensor {found!r}", _MOST) for _ in range(rank)]
        type_id = reader.u32(f"the type of tensor {found!r}")
        reader.align(_ALIGNMENT)
        tensors.append(tensor_at_position(reader, name, tuple(sizes[::-1]), type_id, {}))
    return tensors


def _gguf_name(found: str) -> str | None:
    stem, _, end = found.removeprefix(_BEFORE).rpartition(".")
    place = ""
    if stem.startswith("encoder.layers."):
        number, _, stem = stem.removeprefix("encoder.layers.").partition(".")
        if not (number.isascii() and number.isdigit()):
            return None
        place = f"blk.{int(number)}."
    name = _NAMES.get(stem)
    known = found.startswith(_BEFORE) and name and end in ("weight", "bias")
    return f"{place}{name}.{end}" if known else None


def _check(reader: Reader, config: _Config, tensors: list[Tensor]) -> None:
    """The embedding tells whether the record and the tensors are of one model."""
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    wanted = (config.width, config.vocabulary)
    found = shapes.get("token_embd.weight")
    if found != wanted:
        raise reader.error(
            f"the embedding has the shape {found and list(found)}, must have {list(wanted)}"
        )
