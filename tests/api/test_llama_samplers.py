"""Every sampler against llama.cpp's, on random logits with random parameters.

    FARTHING_LLAMA_LIB=libllama.so FARTHING_LLAMA_CASES=2000 pytest tests/api/test_llama_samplers.py

What is compared are the probabilities with which the next token is drawn: the most likely
`TOP` of them, whose values depend on which others are left. Two things are done otherwise here:

- What is forbidden or removed is no candidate. llama.cpp keeps such tokens with a logit of minus
  infinity, counts them in the dynamic temperature's greatest entropy, and gets NaN for the entropy
  of "typical"; they are taken out between its samplers.
- Where mirostat 1 allows more tokens than an `int` can count, all stay. llama.cpp leaves one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_samplers import Llama, Logits

from farthing import Model
from models import PIECES

LIBRARY = os.environ.get("FARTHING_LLAMA_LIB")
N_CASES = int(os.environ.get("FARTHING_LLAMA_CASES", "40"))

pytestmark = [
    pytest.mark.skipif(not LIBRARY, reason="FARTHING_LLAMA_LIB does not name a libllama"),
    pytest.mark.timeout(3600),
]

N_VOCAB = len(PIECES)
FIRST = 8
"""Before it are control tokens, some of which end an answer."""
TOP = 20
OFF: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
BREAKERS = ("\n", ":", "on", "a", "ca", "upon a")
ROUNDING = 4e-6
"""By so much of the largest logit they are moved where a difference may be one of rounding."""

Random = np.random.Generator
Stage = tuple[str, tuple[Any, ...]]
"""A sampler of llama.cpp's and its arguments."""


@pytest.fixture(scope="module")
def llama(story_path: Path) -> Llama:
    assert LIBRARY is not None
    return Llama(LIBRARY, story_path)


@dataclass
class Case:
    """Farthing's options and llama.cpp's stages for the same."""

    options: dict[str, Any]
    stages: list[Stage]


def real(random: Random, low: float, high: float) -> float:
    """One that a float32 holds."""
    return float(np.float32(random.uniform(low, high)))


def share(random: Random) -> float:
    """A probability, often near 0 or 1."""
    return float(np.float32(random.beta(0.5, 0.5)))


def top_k(random: Random, llama: Llama) -> Case:
    k = int(random.integers(-1, 50))
    return Case({"top_k": k}, [("top_k", (k,))])


def top_p(random: Random, llama: Llama) -> Case:
    p, least = share(random), int(random.integers(6))
    return Case({"top_p": p, "min_keep": least}, [("top_p", (p, least))])


def min_p(random: Random, llama: Llama) -> Case:
    p, least = share(random) ** 2, int(random.integers(6))
    return Case({"min_p": p, "min_keep": least}, [("min_p", (p, least))])


def typ_p(random: Random, llama: Llama) -> Case:
    p, least = share(random), int(random.integers(6))
    return Case({"typical_p": p, "min_keep": least}, [("typical", (p, least))])


def top_n_sigma(random: Random, llama: Llama) -> Case:
    n = real(random, -0.5, 4)
    return Case({"top_n_sigma": n}, [("top_n_sigma", (n,))])


def xtc(random: Random, llama: Llama) -> Case:
    always, least = float(random.integers(2)), int(random.integers(6))
    threshold = real(random, 0, 0.6) ** 2
    options = {"xtc_probability": always, "xtc_threshold": threshold, "min_keep": least}
    return Case(options, [("xtc", (always, threshold, least, 1))])


def temperature(random: Random, llama: Llama) -> Case:
    t = real(random, 0.05, 3) if random.random() < 0.9 else 0.0
    return Case({"temperature": t}, [("temp", (t,))])


def dynatemp(random: Random, llama: Llama) -> Case:
    t, spread, exponent = (real(random, low, 3) for low in (0.1, 0, 0.2))
    options = {"temperature": t, "dynatemp_range": spread, "dynatemp_exponent": exponent}
    return Case(options, [("temp_ext", (t, spread, exponent))])


def penalties(random: Random, llama: Llama) -> Case:
    last_n = int(random.integers(-1, 70))
    repeat, frequency, presence = (real(random, *ends) for ends in ((0.5, 2), (-1, 1), (-2, 2)))
    options = {
        "repeat_last_n": last_n,
        "repeat_penalty": repeat,
        "frequency_penalty": frequency,
        "presence_penalty": presence,
    }
    whole = 4096 if last_n < 0 else last_n
    return Case(options, [("penalties", (N_VOCAB, whole, repeat, frequency, presence))])


def dry(random: Random, llama: Llama) -> Case:
    multiplier, base = real(random, 0, 2), real(random, 1, 2.5)
    allowed, last_n = int(random.integers(5)), int(random.integers(-1, 70))
    breakers = [text for text in BREAKERS if random.random() < 0.3]
    options = {
        "dry_multiplier": multiplier,
        "dry_base": base,
        "dry_allowed_length": allowed,
        "dry_penalty_last_n": last_n,
        "dry_sequence_breakers": breakers,
    }
    whole = 4096 if last_n < 0 else last_n
    arguments = llama.dry(multiplier, base, allowed, whole, breakers=breakers)
    return Case(options, [("dry", arguments)])


def logit_bias(random: Random, llama: Llama) -> Case:
    tokens = random.choice(np.arange(FIRST, N_VOCAB), int(random.integers(1, 30)), replace=False)
    # The others stay, so that some can be chosen.
    bias = {int(i): real(random, -5, 5) if random.random() < 0.8 else -np.inf for i in tokens}
    return Case({"logit_bias": bias}, [("logit_bias", llama.bias(N_VOCAB, bias))])


def adaptive_p(random: Random, llama: Llama) -> Case:
    target, decay = share(random), real(random, 0, 0.99)
    options = {"adaptive_target": target, "adaptive_decay": decay}
    return Case(options, [("adaptive_p", (target, decay, 0))])


def mirostat(random: Random, llama: Llama) -> Case:
    t, tau, eta = real(random, 0.3, 2), real(random, 0.1, 6), real(random, 0.01, 1)
    version = int(random.integers(1, 3))
    options = {"mirostat": version, "mirostat_tau": tau, "mirostat_eta": eta, "temperature": t}
    last: Stage = ("mirostat_v2", (0, tau, eta))
    if version == 1:
        last = ("mirostat", (N_VOCAB, 0, tau, eta, 100))
    return Case(options, [("temp", (t,)), last])


CHOOSES = {"mirostat": 1, "mirostat_v2": 0, "adaptive_p": 2}
"""Samplers that remember what they chose -> which of their arguments is the seed."""

KINDS: dict[str, Callable[[Random, Llama], Case]] = {
    build.__name__: build
    for build in (penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature)
}


def chain(random: Random, llama: Llama) -> Case:
    """Some samplers in some order; those that leave a minimum with the same."""
    names = [str(name) for name in random.permutation(list(KINDS))[: random.integers(2, 10)]]
    least = int(random.integers(6))
    case = Case({"samplers": names}, [])
    for name in names:
        made = (dynatemp if name == "temperature" else KINDS[name])(random, llama)
        [(stage, arguments)] = made.stages
        if "min_keep" in made.options:
            made.options["min_keep"] = least
            arguments = (*arguments[: 2 if stage == "xtc" else 1], least, *arguments[2:][1:])
        case.options |= made.options
        case.stages.append((stage, arguments))
    return case


def row(random: Random, n: int, ties: float) -> Logits:
    """Logits of some tokens: flat or steep, and in so many of the cases with many equal ones."""
    ids = random.choice(np.arange(FIRST, N_VOCAB), n, replace=False)
    logits = random.normal(random.uniform(-5, 5), random.choice([0.3, 1, 3, 8]), n)
    if random.random() < ties:
        logits = np.round(logits)
    return dict(zip(ids.tolist(), logits.astype(np.float32).tolist(), strict=True))


def prompt(random: Random) -> list[int]:
    """A text that repeats itself, of few tokens or of words that breakers are in."""
    few = random.integers(FIRST, N_VOCAB, int(random.integers(1, 6)))
    words = np.arange(N_VOCAB - 28, N_VOCAB)
    tokens = random.choice([few, words][random.integers(2)], int(random.integers(1, 100)))
    return [int(token) for token in tokens]


@dataclass
class Step:
    """The token drawn, and the probabilities, falling."""

    token: int
    top: list[tuple[int, float]]


def farthing(
    model: Model, text: list[int], rows: Sequence[Logits], options: dict[str, Any]
) -> list[Step]:
    """What is drawn from these rows."""

    def give(input_ids: Any, scores: Any) -> Any:
        scores[:] = -np.inf
        logits = rows[len(input_ids) - len(text)]
        scores[list(logits)] = list(logits.values())
        return scores

    done = model.generate(
        text,
        max_tokens=len(rows),
        seed=1,
        logprobs=TOP,
        post_sampling_probs=True,
        logits_processor=give,
        cache_prompt=False,
        **{**OFF, **options},
    )
    assert done.logprobs is not None
    return [
        Step(place.token, [(token.token, float(np.exp(token.logprob))) for token in place.top])
        for place in done.logprobs
    ]


def probabilities(logits: Logits) -> list[tuple[int, float]]:
    values = np.array(list(logits.values()), np.float64)
    weights = np.exp(values - values.max())
    found = zip(logits, (weights / weights.sum()).tolist(), strict=True)
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:TOP]


def llama_cpp(
    llama: Llama, text: list[int], rows: Sequence[Logits], stages: list[Stage], path: list[int]
) -> list[list[tuple[int, float]]] | None:
    """The probabilities; None if it chose otherwise than the path."""
    found = []
    with ExitStack() as stack:
        samplers = [stack.enter_context(llama.sampler(name, *given)) for name, given in stages]
        for sampler in samplers:
            for token in text:
                sampler.accept(token)
        for logits, token in zip(rows, path, strict=True):
            for sampler in samplers:
                logits, chosen = sampler.apply(logits)
            found.append(probabilities(logits))
            if chosen not in (None, token) and len(found) < len(rows):
                return None
            for sampler in samplers:
                sampler.accept(token)
    return found


def along(
    llama: Llama, text: list[int], rows: Sequence[Logits], stages: list[Stage], path: list[int]
) -> list[list[tuple[int, float]]]:
    """The same with a seed that has llama.cpp choose the path's tokens, where it chooses."""
    name, arguments = stages[-1]
    for seed in range(300_000):
        if name in CHOOSES:
            place = CHOOSES[name]
            stages = [*stages[:-1], (name, (*arguments[:place], seed, *arguments[place + 1 :]))]
        found = llama_cpp(llama, text, rows, stages, path)
        if found is not None:
            return found
    raise AssertionError(f"no seed chooses {path}")


def agree(ours: list[Step], theirs: list[list[tuple[int, float]]], rows: Sequence[Logits]) -> bool:
    """Of equally likely tokens any may be left."""
    for mine, other, logits in zip(ours, theirs, rows, strict=True):
        if len(mine.top) != len(other):
            return False
        pairs = zip(mine.top, other, strict=True)
        if not all(np.isclose(a, b, rtol=2e-3, atol=1e-7) for (_, a), (_, b) in pairs):
            return False
        by_id = dict(other)
        shared = [(by_id[i], p) for i, p in mine.top if i in by_id]
        tied = len(set(logits.values())) < len(logits)
        # Two nearly alike may be on both sides of the cut.
        if not tied and len(shared) < len(other) - (len(other) == TOP):
            return False
        if not tied and not all(np.isclose(a, b, rtol=2e-3, atol=1e-7) for a, b in shared):
            return False
    return True


def overflows(case: Case, ours: list[Step], theirs: list[list[tuple[int, float]]]) -> bool:
    """Whether mirostat 1 allowed all tokens of a place, and its number was no `int`."""
    pairs = zip(ours, theirs, strict=True)
    return case.stages[-1][0] == "mirostat" and any(len(o.top) > len(t) == 1 for o, t in pairs)


def moved(random: Random, rows: Sequence[Logits]) -> list[Logits]:
    def move(logits: Logits) -> Logits:
        size = ROUNDING * max(map(abs, logits.values()))
        return {i: x + random.uniform(-size, size) for i, x in logits.items()}

    return [move(logits) for logits in rows]


@pytest.mark.parametrize(
    "build",
    [*KINDS.values(), dynatemp, logit_bias, adaptive_p, mirostat, chain],
    ids=lambda build: build.__name__,
)
def test_probabilities_are_llama_cpps(
    story: Model, llama: Llama, build: Callable[[Random, Llama], Case]
) -> None:
    rounded = overflown = 0
    for seed in range(N_CASES):
        random = np.random.default_rng(seed)
        case = build(random, llama)
        # Three places where something is remembered of each, and few tokens, so that a seed is
        # found; of equal ones llama.cpp may have left another.
        chooses = case.stages[-1][0] in CHOOSES
        n_rows, most, ties = (3, 12, 0.0) if chooses else (1, N_VOCAB - FIRST, 0.25)
        few = random.random() < 0.5
        sizes = random.integers(1, 21 if few else most + 1, n_rows).clip(max=most)
        rows, text = [row(random, int(n), ties) for n in sizes], prompt(random)
        if build is logit_bias:
            rows = [dict.fromkeys(range(FIRST, N_VOCAB), 0.0) | logits for logits in rows]
        ours = farthing(story, text, rows, case.options)
        path = [step.token for step in ours]
        theirs = along(llama, text, rows, case.stages, path)
        if agree(ours, theirs, rows):
            continue
        if overflows(case, ours, theirs):
            overflown += 1
            continue
        others = (along(llama, text, moved(random, rows), case.stages, path) for _ in range(30))
        assert any(agree(ours, other, rows) for other in others), f"{seed}: {case.options}"
        rounded += 1
    assert rounded <= max(1, N_CASES // 50)
    assert overflown <= max(1, N_CASES // 20)
    print(f"{N_CASES} cases, {rounded} differ by rounding, {overflown} beyond an int")
