"""Files of low-rank adapters, and models with their deltas added to the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """`b @ a` is added to a matrix, or each of a stack; of the embedding `a` has the rows."""

    a: Matrix
    b: Matrix

    def delta(self, name: str, factor: float) -> Matrix:
        """What the matrix becomes larger by."""
        delta = (self.b @ self.a if name != "token_embd.weight" else self.a @ self.b.T) * factor
        return delta.astype(np.float32)


def random_pairs(
    model: Path, names: Sequence[str], *, rank: int = 4, seed: int = 0, size: float = 0.5
) -> dict[str, Pair]:
    """For the tensors of a model; `size` is that of the deltas beside the weights, about."""
    random = np.random.default_rng(seed)
    shapes = {t.name: [int(n) for n in t.shape] for t in gguf.GGUFReader(model).tensors}
    pairs = {}
    for name in names:
        k, rows, *stacked = shapes[name]
        if name == "token_embd.weight":
            k, rows = rank, k
            a = random.standard_normal((shapes[name][1], rank), dtype=np.float32)
        else:
            a = random.standard_normal((*stacked, rank, k), dtype=np.float32)
            a /= np.float32(np.sqrt(k))
        b = random.standard_normal((*stacked, rows, rank), dtype=np.float32)
        b /= np.float32(np.sqrt(rank))
        pairs[name] = Pair(a, b * np.float32(size))
    return pairs


def write_adapter(
    path: Path,
    pairs: Mapping[str, Pair],
    *,
    alpha: float | None = 8.0,
    kind: str = "F32",
    architecture: str = "llama",
    extra: Mapping[str, Matrix] | None = None,
    fields: Mapping[str, str] | None = None,
) -> Path:
    """Write an adapter as llama.cpp's converter does, in a type of ggml's."""
    writer = gguf.GGUFWriter(path, architecture)
    about = {"general.type": "adapter", "adapter.type": "lora"} | dict(fields or {})
    for key, value in about.items():
        writer.add_string(key, value)
    if alpha is not None:
        writer.add_float32("adapter.lora.alpha", alpha)
    quant = gguf.GGMLQuantizationType[kind]
    for name, pair in pairs.items():
        for part, matrix in (("lora_a", pair.a), ("lora_b", pair.b)):
            whole = matrix.shape[-1] % gguf.GGML_QUANT_SIZES[quant][0] == 0
            chosen = quant if whole else gguf.GGMLQuantizationType.F32
            data = gguf.quantize(np.ascontiguousarray(matrix), chosen)
            writer.add_tensor(f"{name}.{part}", data, raw_dtype=chosen)
    for name, tensor in (extra or {}).items():
        writer.add_tensor(name, tensor)
    _finish(writer)
    return path


def write_merged(model: Path, path: Path, deltas: Mapping[str, Matrix]) -> Path:
    """Write a copy of a model of F32 with larger weights.

    A delta of the embedding is one of what is looked up: the output matrix stays.
    """
    reader = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    for name, value in reader.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")):
            kind = value.types[0]
            inner = value.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, value.contents(), kind, inner)
    names = [tensor.name for tensor in reader.tensors]
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data + deltas.get(tensor.name, np.float32(0)))
        if tensor.name == "token_embd.weight" and "output.weight" not in names:
            writer.add_tensor("output.weight", tensor.data)
    _finish(writer)
    return path


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
