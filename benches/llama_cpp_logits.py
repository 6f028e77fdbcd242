"""llama.cpp's logits, by the package llama-cpp-python."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt

KV_TYPES = {"f16": llama_cpp.GGML_TYPE_F16, "f32": llama_cpp.GGML_TYPE_F32}


def logits(
    path: Path, tokens: Sequence[int], *, kv_type: str, n_threads: int, repack: bool = True
) -> npt.NDArray[np.float32]:
    """The logits after each of the tokens, `[n_tokens, n_vocab]`, all computed in one batch.

    `repack` lets llama.cpp change the weights' layout while loading, which is its default.
    Flash attention is off, so that the scores are summed in float32 with either cache.
    """
    with _model(path, repack) as model, _context(model, len(tokens), kv_type, n_threads) as context:
        _decode(context, tokens)
        n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        rows = llama_cpp.llama_get_logits(context)
        return np.ctypeslib.as_array(rows, (len(tokens), n_vocab)).copy()


@contextmanager
def _model(path: Path, repack: bool) -> Iterator[Any]:
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = 0
    params.use_extra_bufts = repack
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if model is None:
        raise OSError(f"llama.cpp cannot load {path}")
    try:
        yield model
    finally:
        llama_cpp.llama_model_free(model)


@contextmanager
def _context(model: Any, n_tokens: int, kv_type: str, n_threads: int) -> Iterator[Any]:
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = n_tokens
    params.n_threads = params.n_threads_batch = n_threads
    params.type_k = params.type_v = KV_TYPES[kv_type]
    params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, params)
    if context is None:
        raise MemoryError(f"llama.cpp cannot make a context of {n_tokens} tokens")
    try:
        yield context
    finally:
        llama_cpp.llama_free(context)


def _decode(context: Any, tokens: Sequence[int]) -> None:
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    try:
        batch.n_tokens = len(tokens)
        for position, token in enumerate(tokens):
            batch.token[position] = token
            batch.pos[position] = position
            batch.n_seq_id[position] = 1
            batch.seq_id[position][0] = 0
            batch.logits[position] = True
        status = llama_cpp.llama_decode(context, batch)
    finally:
        llama_cpp.llama_batch_free(batch)
    if status != 0:
        raise RuntimeError(f"llama.cpp failed to compute {len(tokens)} tokens: status {status}")


@llama_cpp.llama_log_callback
def _no_log(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
    pass


llama_cpp.llama_log_set(_no_log, ctypes.c_void_p(0))
