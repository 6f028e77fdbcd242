"""llama.cpp's samplers, called by ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes import (
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char_p,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from pathlib import Path
from typing import Any

import numpy as np


class _Candidate(Structure):
    _fields_ = (("id", c_int32), ("logit", c_float), ("p", c_float))


class _Candidates(Structure):
    _fields_ = (
        ("data", POINTER(_Candidate)),
        ("size", c_size_t),
        ("selected", c_int64),
        ("sorted", c_bool),
    )


class _Bias(Structure):
    _fields_ = (("token", c_int32), ("bias", c_float))


class _Params(Structure):
    """What is passed on as it came, with room for any version's fields."""

    _fields_ = (("words", c_uint64 * 64),)


_ARGUMENTS: dict[str, list[Any]] = {
    "top_k": [c_int32],
    "top_p": [c_float, c_size_t],
    "min_p": [c_float, c_size_t],
    "typical": [c_float, c_size_t],
    "temp": [c_float],
    "temp_ext": [c_float, c_float, c_float],
    "xtc": [c_float, c_float, c_size_t, c_uint32],
    "top_n_sigma": [c_float],
    "mirostat": [c_int32, c_uint32, c_float, c_float, c_int32],
    "mirostat_v2": [c_uint32, c_float, c_float],
    "penalties": [c_int32, c_int32, c_float, c_float, c_float],
    "dry": [c_void_p, c_float, c_float, c_int32, c_int32, POINTER(c_char_p), c_size_t],
    "adaptive_p": [c_float, c_float, c_uint32],
    "logit_bias": [c_int32, c_int32, POINTER(_Bias)],
}
"""Sampler -> what its `llama_sampler_init_...` takes."""

Logits = dict[int, float]
"""Token id -> its logit, only those that may be chosen."""


class Sampler:
    """One of them, with what it remembers."""

    def __init__(self, library: Any, handle: int) -> None:
        self._library = library
        self._handle = handle

    def accept(self, token: int) -> None:
        """This token is the next one."""
        self._library.llama_sampler_accept(self._handle, token)

    def apply(self, logits: Mapping[int, float]) -> tuple[Logits, int | None]:
        """What is left of the candidates, and the token chosen where this sampler chooses one."""
        data = (_Candidate * len(logits))(*((i, x, 0.0) for i, x in logits.items()))
        candidates = _Candidates(data, len(data), -1, False)
        self._library.llama_sampler_apply(self._handle, byref(candidates))
        left = [(c.id, c.logit) for c in candidates.data[: candidates.size]]
        chosen = left[candidates.selected][0] if candidates.selected >= 0 else None
        return {i: x for i, x in left if x > -np.inf}, chosen


class Llama:
    """The library, and a model for its vocabulary."""

    def __init__(self, library: str, model: Path) -> None:
        self._library = ctypes.CDLL(library)
        self._library.llama_sampler_accept.argtypes = [c_void_p, c_int32]
        self._library.llama_sampler_apply.argtypes = [c_void_p, POINTER(_Candidates)]
        self._library.llama_sampler_free.argtypes = [c_void_p]
        for name, arguments in _ARGUMENTS.items():
            init = self._function(name)
            init.argtypes, init.restype = arguments, c_void_p
        self._vocabulary = self._load(str(model).encode())

    def _function(self, name: str) -> Any:
        return getattr(self._library, f"llama_sampler_init_{name}")

    def _load(self, model: bytes) -> int:
        library = self._library
        self._quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, c_char_p, c_void_p)(lambda *_: None)
        library.llama_log_set(self._quiet, c_void_p())
        library.llama_model_default_params.restype = _Params
        load = library.llama_model_load_from_file
        load.argtypes, load.restype = [c_char_p, _Params], c_void_p
        loaded = load(model, library.llama_model_default_params())
        assert loaded, f"llama.cpp cannot load {model!r}"
        vocabulary = library.llama_model_get_vocab
        vocabulary.argtypes, vocabulary.restype = [c_void_p], c_void_p
        return int(vocabulary(loaded))

    @contextmanager
    def sampler(self, name: str, *arguments: Any) -> Iterator[Sampler]:
        """The sampler of `llama_sampler_init_{name}`."""
        handle = self._function(name)(*arguments)
        try:
            yield Sampler(self._library, handle)
        finally:
            self._library.llama_sampler_free(handle)

    def bias(self, n_vocab: int, bias: Mapping[int, float]) -> tuple[Any, ...]:
        """The arguments of "logit_bias"."""
        return n_vocab, len(bias), (_Bias * len(bias))(*bias.items())

    def dry(self, *numbers: float, breakers: Sequence[str]) -> tuple[Any, ...]:
        """The arguments of "dry": multiplier, base, allowed length and last tokens."""
        texts = (c_char_p * len(breakers))(*(text.encode() for text in breakers))
        return self._vocabulary, *numbers, texts, len(breakers)
