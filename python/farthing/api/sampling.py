"""The keyword arguments that every way of generating shares."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farthing import _native
from farthing.api.constraint import NAMES as CONSTRAINT_NAMES
from farthing.api.constraint import ConstraintOptions, Source, source_of
from farthing.api.lora import Choice
from farthing.errors import RequestError
from farthing.types import LogitsProcessor


class GenerateOptions(ConstraintOptions, total=False):
    """Names, meanings, order and defaults are llama.cpp's.

    The chain is penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature,
    adaptive_p, then a random choice. What is off by default is not in it until it is switched on.
    """

    max_tokens: int | None
    """Most tokens to generate; None (default): until the context is full."""
    stop: str | Iterable[str] | None
    """Texts that end the generation and are not part of it; default none."""
    logprobs: int | None
    """Report log-probabilities with this many alternatives a token; None (default): none at all."""
    post_sampling_probs: bool
    """False: `logprobs` are the model's own; True: those of the random choice, after the chain."""
    samplers: str | Sequence[str] | None
    """The samplers to apply, in this order, also several times: names, or a string with `;` between
    them; None (default): the chain above."""
    priority: int
    """0; higher goes first in the queue, in what is computed and in keeping memory. A waiting
    request is overtaken three times at most."""
    timeout: float | None
    """Seconds after which the generation ends as far as it came, with the reason "timeout"; waiting
    counts. None (default): no limit."""
    temperature: float
    """0.8; 0 or less takes the most probable token always."""
    dynatemp_range: float
    """0.0; above 0 the temperature lies so far below or above as the model is sure or unsure."""
    dynatemp_exponent: float
    """1.0; above 1 the temperature stays low for longer."""
    top_k: int
    """40; 0 switches it off."""
    top_p: float
    """0.95; 1 switches it off."""
    min_p: float
    """0.05; 0 switches it off."""
    typical_p: float
    """1.0, which is off."""
    top_n_sigma: float
    """-1.0, which is off; keeps logits within so many standard deviations of the best."""
    xtc_probability: float
    """0.0, which is off; how often the most probable tokens are removed, all but the last."""
    xtc_threshold: float
    """0.1; from which probability on; above 0.5 is off."""
    min_keep: int
    """0; candidates that top_p, min_p, typical_p and xtc must leave."""
    repeat_last_n: int
    """64; how many of the last tokens the penalties look at, 0 none, -1 the whole context."""
    repeat_penalty: float
    """1.0, which is off."""
    presence_penalty: float
    """0.0."""
    frequency_penalty: float
    """0.0."""
    dry_multiplier: float
    """0.0, which is off; lowers tokens that prolong what is a repetition already."""
    dry_base: float
    """1.75; by how much more with each token of the repetition."""
    dry_allowed_length: int
    """2; shorter repetitions are left alone."""
    dry_penalty_last_n: int
    """64; how many of the last tokens are searched, 0 none, -1 the whole context."""
    dry_sequence_breakers: Iterable[str] | None
    """Texts that a repetition does not go across; None (default): newline, `:`, `"` and `*`."""
    mirostat: int
    """0; version 1 or 2 stands in the place of the chain but for the temperature."""
    mirostat_tau: float
    """5.0; the mean surprise of a token that mirostat aims at, in bits."""
    mirostat_eta: float
    """0.1; how fast it corrects."""
    adaptive_target: float
    """-1.0, which is off; prefers tokens of about this probability."""
    adaptive_decay: float
    """0.9; how much of the mean that is led there each token leaves, up to 0.99."""
    logits_processor: LogitsProcessor | Iterable[LogitsProcessor] | None
    """Python functions `(input_ids, scores) -> scores`, called for each token before everything
    else, one after the other; slow, as the engine waits for them. What one raises ends the request:
    FarthingError from that exception. Within it the model itself cannot be used."""
    seed: int | None
    """Of the random choices; None or -1 (default) takes a new one each time."""
    logit_bias: Mapping[int, float]
    """Token id -> what is added to its logit; -inf forbids the token."""
    n_draft_max: int
    """Tokens guessed for a pass, at most the model's `n_draft_max` (default); 0: none."""
    context_shift: bool
    """The model's `context_shift` by default. True: when the context is full, the older half of its
    tokens after `n_keep` is thrown away and the rest computed again; False: the answer ends."""
    n_keep: int
    """0; tokens at the prompt's beginning that are not thrown away, -1 all, and that of the text's
    beginning besides."""
    lora: str | Iterable[str] | Mapping[str, float]
    """Adapters by name, or name -> scale; default: those that the model got without names."""
    ignore_eos: bool
    """False; True generates on where the model would end."""
    cache_prompt: bool
    """True; False computes all of the prompt and leaves nothing for other requests."""


NAMES = tuple(GenerateOptions.__annotations__)

DRY_SEQUENCE_BREAKERS = ("\n", ":", '"', "*")

_NOT_NATIVE = (
    "stop",
    "samplers",
    "dry_sequence_breakers",
    "logits_processor",
    "lora",
    *CONSTRAINT_NAMES,
)

_ALIASES = {"nucleus": "top_p", "temp": "temperature", "typ": "typ_p", "typicalp": "typ_p"}
"""Further names of samplers, most of them llama.cpp's; hyphens and underscores do not count."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Options as the parts of the library take them."""

    stop: list[str]
    breakers: tuple[str, ...]
    """The sequence breakers of DRY, if that is on."""
    logits_processor: list[LogitsProcessor] | None
    source: Source | None
    """The grammar that constrains the answer."""
    native: dict[str, Any]
    lora: Choice | None

    @property
    def logprobs(self) -> bool:
        """Whether they were asked for."""
        return "logprobs" in self.native


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
    if (samplers := options.get("samplers")) is not None:
        native["samplers"] = sampler_names(samplers)
    breakers = _strings("dry_sequence_breakers", options, DRY_SEQUENCE_BREAKERS)
    return Prepared(
        stop=list(_strings("stop", options)),
        breakers=breakers if native.get("dry_multiplier") else (),
        logits_processor=_callables(options.get("logits_processor")),
        source=source_of(options),
        native=native,
        lora=options.get("lora"),
    )


def sampler_names(given: str | Iterable[str]) -> list[str]:
    """The samplers of a list or of `"top_k;top_p"`, as the engine calls them.

    Raises RequestError for one that does not exist, with the nearest name.
    """
    names = [name for name in given.split(";") if name] if isinstance(given, str) else given
    known = {name.replace("_", ""): name for name in _native.samplers()} | _ALIASES
    found = []
    for name in _strings("samplers", {"samplers": names}):
        plain = name.strip().lower().replace("-", "").replace("_", "")
        if plain not in known:
            close = difflib.get_close_matches(plain, known, n=1)
            hint = f"; did you mean {known[close[0]]!r}?" if close else ""
            raise RequestError(
                f"{name!r} in samplers is not one of {', '.join(_native.samplers())}{hint}"
            )
        found.append(known[plain])
    return found


def _callables(given: Any) -> list[LogitsProcessor] | None:
    if given is None:
        return None
    # Other libraries' lists of processors are callable themselves, which comes to the same.
    functions = [given] if callable(given) else list(given)
    for function in functions:
        if not callable(function):
            raise RequestError(f"logits_processor must be callable, got {function!r}")
    return functions or None


def _strings(
    name: str, options: Mapping[str, Any], default: tuple[str, ...] = ()
) -> tuple[str, ...]:
    given = options.get(name)
    if given is None:
        return default
    strings = (given,) if isinstance(given, str) else tuple(given)
    for string in strings:
        if not isinstance(string, str) or not string:
            raise RequestError(f"{name} must hold non-empty strings, got {string!r}")
    return strings
