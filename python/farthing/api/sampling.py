"""The keyword arguments that every way of generating shares."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from farthing.errors import RequestError


class GenerateOptions(TypedDict, total=False):
    """Names, meanings, order and defaults are llama.cpp's.

    The chain is penalties, top_k, typical_p, top_p, min_p, temperature, then a random choice.
    """

    max_tokens: int | None
    """Most tokens to generate; None (default): until the context is full."""
    stop: str | Iterable[str] | None
    """Texts that end the generation and are not part of it; default none."""
    logprobs: int | None
    """Report log-probabilities with this many alternatives a token; None (default): none at all."""
    temperature: float
    """0.8; 0 or less takes the most probable token always."""
    top_k: int
    """40; 0 switches it off."""
    top_p: float
    """0.95; 1 switches it off."""
    min_p: float
    """0.05; 0 switches it off."""
    typical_p: float
    """1.0, which is off."""
    min_keep: int
    """0; candidates that top_p, min_p and typical_p must leave."""
    repeat_last_n: int
    """64; how many of the last tokens the penalties look at, 0 none, -1 the whole context."""
    repeat_penalty: float
    """1.0, which is off."""
    presence_penalty: float
    """0.0."""
    frequency_penalty: float
    """0.0."""
    seed: int | None
    """Of the random choices; None or -1 (default) takes a new one each time."""
    logit_bias: Mapping[int, float]
    """Token id -> what is added to its logit; -inf forbids the token."""
    ignore_eos: bool
    """False; True generates on where the model would end."""


NAMES = tuple(GenerateOptions.__annotations__)

_NOT_NATIVE = ("stop", "logprobs")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Options as the parts of the library take them."""

    stop: list[str]
    logprobs: int | None
    native: dict[str, Any]


def prepare(method: str, options: Mapping[str, Any], others: Iterable[str] = ()) -> Prepared:
    """Sort the options of a call by who needs them.

    `others` are keywords of the method that are not among them. Raises TypeError naming an unknown
    keyword, as Python does for a plain signature. The values of what goes to the engine are checked
    there.
    """
    for name in options:
        if name not in NAMES:
            close = difflib.get_close_matches(name, (*NAMES, *others), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{method}() got an unexpected keyword argument {name!r}{hint}")
    native = {k: v for k, v in options.items() if k not in _NOT_NATIVE and v is not None}
    logprobs = options.get("logprobs")
    if logprobs is not None:
        native["logprobs"] = logprobs
    return Prepared(_stop_strings(options.get("stop")), logprobs, native)


def _stop_strings(stop: Any) -> list[str]:
    if stop is None:
        return []
    strings = [stop] if isinstance(stop, str) else list(stop)
    for string in strings:
        if not isinstance(string, str) or not string:
            raise RequestError(f"stop must hold non-empty strings, got {string!r}")
    return strings
