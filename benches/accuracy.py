"""How far Farthing and llama.cpp are from float32 on the same quantized file.

    python benches/accuracy.py MODEL.gguf ... [--positions 256] [--threads 2]

Needs `pip install llama-cpp-python gguf`, and disk space for a copy of each model in F32.

The truth is the model with its weights dequantized and everything computed in float32, KV cache
included: the file is copied with all tensors as F32 and run by llama.cpp so. Farthing runs the copy
too, and the divergence between the two ("float32 again") shows how much of the other numbers is
rounding.

The input is BOS and random tokens, the logits after each of them are compared:

- mean KL: of the float32 distribution from the engine's, in nats, mean over positions;
- rms: of the logits' errors, after the mean error of each position is taken away, which changes no
  probability;
- top token: at how many positions it is float32's;
- sure: at how many positions it is llama.cpp's, of those where llama.cpp's margin between its two
  best logits exceeds its noise, the largest error among that position's logits.

Tokens with the same logit count as one: files of random weights may repeat rows. Flash attention is
off in llama.cpp; both engines have their default KV cache, F16.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gguf
import llama_cpp_logits
import numpy as np
import numpy.typing as npt
from float_copy import write_float_copy

import farthing

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Options:
    """What a run is told."""

    models: list[Path]
    positions: int
    seed: int
    threads: int
    folder: Path | None


def main() -> None:
    """Print a table for each model."""
    options = _parse(sys.argv[1:])
    print("| model | engine | mean KL | rms | top token | sure |")
    print("|---|---|---:|---:|---:|---:|")
    for model in options.models:
        _compare(model, options)


def _parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.gguf")
    parser.add_argument("--positions", type=int, default=256, help="tokens, BOS included")
    parser.add_argument("--seed", type=int, default=0, help="of the random tokens")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the F32 copy is kept for the while")
    return Options(**vars(parser.parse_args(arguments)))


def _compare(model: Path, options: Options) -> None:
    tokens = _tokens(model, options)
    truth, again = _float32(model, tokens, options)
    theirs = llama_cpp_logits.logits(model, tokens, kv_type="f16", n_threads=options.threads)
    unpacked = llama_cpp_logits.logits(
        model, tokens, kv_type="f16", n_threads=options.threads, repack=False
    )
    ours = _farthing(model, tokens, "f16", options.threads)
    sure = margin(theirs) > np.abs(centred(theirs) - centred(truth)).max(axis=1)
    for engine, logits in (
        ("farthing", ours),
        ("llama.cpp", theirs),
        ("llama.cpp, no repacking", unpacked),
        ("float32 again", again),
    ):
        error = centred(logits) - centred(truth)
        print(
            f"| {model.stem} | {engine} | {divergence(truth, logits).mean():.3g} "
            f"| {np.sqrt(np.mean(error**2)):.3g} "
            f"| {np.sum(same_top(logits, truth))} of {len(tokens)} "
            f"| {np.sum(same_top(logits, theirs) & sure)} of {np.sum(sure)} |",
            flush=True,
        )


def _tokens(model: Path, options: Options) -> list[int]:
    fields = gguf.GGUFReader(model).fields
    n_vocab = len(fields["tokenizer.ggml.tokens"].data)
    random = np.random.default_rng(options.seed).integers(n_vocab, size=options.positions)
    return [int(fields["tokenizer.ggml.bos_token_id"].contents()), *random[1:].tolist()]


def _float32(model: Path, tokens: list[int], options: Options) -> tuple[Logits, Logits]:
    """By llama.cpp and by Farthing."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        copy = Path(folder, "float32.gguf")
        write_float_copy(model, copy)
        return (
            llama_cpp_logits.logits(copy, tokens, kv_type="f32", n_threads=options.threads),
            _farthing(copy, tokens, "f32", options.threads),
        )


def _farthing(path: Path, tokens: list[int], kv_type: str, n_threads: int) -> Logits:
    with farthing.Model(path, n_ctx=len(tokens), n_threads=n_threads, kv_type=kv_type) as model:
        return model.logits(tokens)


def centred(logits: Logits) -> Logits:
    """With mean 0 at every position."""
    return logits - logits.mean(axis=1, keepdims=True)


def margin(logits: Logits) -> Logits:
    """From the best logit of each position to the best of the others."""
    best = logits.max(axis=1, keepdims=True)
    return best[:, 0] - np.where(logits < best, logits, -np.inf).max(axis=1)


def same_top(logits: Logits, others: Logits) -> npt.NDArray[np.bool_]:
    """At which positions the best token of `others` is the best of `logits`."""
    best = others.argmax(axis=1, keepdims=True)
    return np.take_along_axis(logits, best, axis=1)[:, 0] == logits.max(axis=1)


def divergence(truth: Logits, logits: Logits) -> npt.NDArray[np.float64]:
    """KL(truth ‖ logits) of each position, in nats."""
    return np.array([_row_divergence(p, q) for p, q in zip(truth, logits, strict=True)])


def _row_divergence(truth: Logits, logits: Logits) -> float:
    p, q = (_log_softmax(row.astype(np.float64)) for row in (truth, logits))
    return float(np.sum(np.exp(p) * (p - q)))


def _log_softmax(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = x - x.max()
    return x - np.log(np.exp(x).sum())


if __name__ == "__main__":
    main()
