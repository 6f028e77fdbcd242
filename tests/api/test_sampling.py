"""Every sampling option, against its definition in numpy, through the library."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from farthing import Model, RequestError
from farthing.api.breakers import BreakerSets
from models import ID, PIECES

PROMPT = [ID[piece] for piece in ("<s>", "▁Once", "▁upon", "▁a", "▁Once", "▁upon")]
FREE: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""No sampler changes anything."""

Floats = npt.NDArray[np.float64]


def softmax(logits: Floats) -> Floats:
    exps = np.exp(logits - logits.max())
    return exps / exps.sum()


def entropy(logits: Floats) -> float:
    p = softmax(logits)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def keep(logits: Floats, kept: npt.NDArray[Any]) -> Floats:
    return np.where(kept, logits, -np.inf)


def ranked(logits: Floats) -> npt.NDArray[Any]:
    """How many are before each."""
    return np.argsort(np.argsort(-logits, kind="stable"))


def nucleus(logits: Floats, p: float) -> Floats:
    order = np.argsort(-logits, kind="stable")
    n = int(np.searchsorted(np.cumsum(softmax(logits)[order]), p)) + 1
    return keep(logits, ranked(logits) < n)


def typical(logits: Floats, p: float) -> Floats:
    order = np.argsort(np.abs(-np.log(softmax(logits)) - entropy(logits)), kind="stable")
    n = int(np.searchsorted(np.cumsum(softmax(logits)[order]), p, side="right")) + 1
    return keep(logits, np.isin(np.arange(len(logits)), order[:n]))


def exclude_top(logits: Floats, threshold: float) -> Floats:
    likely = int((softmax(logits) >= threshold).sum())
    return keep(logits, ranked(logits) >= likely - 1)


def dynamic(logits: Floats, t: float, spread: float, exponent: float) -> Floats:
    part = entropy(logits) / np.log(len(logits))
    return logits / (t - spread + 2 * spread * part**exponent)


def penalize(logits: Floats, last_n: int, repeat: float, presence: float, freq: float) -> Floats:
    logits = logits.copy()
    seen = PROMPT if last_n < 0 else PROMPT[len(PROMPT) - last_n :]
    for token in set(seen):
        x = logits[token]
        x = x / repeat if x > 0 else x * repeat
        logits[token] = x - presence - freq * seen.count(token)
    return logits


def dry(logits: Floats, penalty: float) -> Floats:
    """Only "a" prolongs "Once upon", the two tokens that are there twice."""
    logits = logits.copy()
    logits[ID["▁a"]] -= penalty
    return logits


def adaptive(logits: Floats, target: float) -> Floats:
    distance = np.abs(softmax(logits) - target) / 0.3
    return 5.0 - 10.0 * distance**2 / (1.0 + distance)


CASES: list[tuple[dict[str, Any], Callable[[Floats], Floats]]] = [
    ({}, lambda x: x),
    ({"temperature": 7.0}, lambda x: x / 7),
    ({"temperature": 3.0, "dynatemp_range": 2.0}, lambda x: dynamic(x, 3, 2, 1)),
    (
        {"temperature": 3.0, "dynatemp_range": 2.0, "dynatemp_exponent": 2.0},
        lambda x: dynamic(x, 3, 2, 2),
    ),
    ({"top_k": 3}, lambda x: keep(x, ranked(x) < 3)),
    ({"top_p": 0.9999}, lambda x: nucleus(x, 0.9999)),
    ({"min_p": 1e-4}, lambda x: keep(x, softmax(x) >= 1e-4 * softmax(x).max())),
    ({"typical_p": 0.001}, lambda x: typical(x, 0.001)),
    ({"top_n_sigma": 2.5}, lambda x: keep(x, x >= x.max() - 2.5 * x.std())),
    (
        {"xtc_probability": 1.0, "xtc_threshold": 1e-4},
        lambda x: exclude_top(x, 1e-4),
    ),
    ({"top_p": 0.0, "min_keep": 4}, lambda x: keep(x, ranked(x) < 4)),
    ({"repeat_penalty": 1.7}, lambda x: penalize(x, 6, 1.7, 0, 0)),
    ({"presence_penalty": 1.5}, lambda x: penalize(x, 6, 1, 1.5, 0)),
    ({"frequency_penalty": 1.5}, lambda x: penalize(x, 6, 1, 0, 1.5)),
    ({"frequency_penalty": 1.5, "repeat_last_n": 3}, lambda x: penalize(x, 3, 1, 0, 1.5)),
    ({"frequency_penalty": 1.5, "repeat_last_n": -1}, lambda x: penalize(x, -1, 1, 0, 1.5)),
    ({"frequency_penalty": 1.5, "repeat_last_n": 0}, lambda x: x),
    ({"dry_multiplier": 3.0}, lambda x: dry(x, 3)),
    ({"dry_multiplier": 3.0, "dry_allowed_length": 1}, lambda x: dry(x, 3 * 1.75)),
    ({"dry_multiplier": 3.0, "dry_allowed_length": 1, "dry_base": 2.0}, lambda x: dry(x, 6)),
    ({"dry_multiplier": 3.0, "dry_allowed_length": 3}, lambda x: x),
    ({"dry_multiplier": 3.0, "dry_penalty_last_n": 4}, lambda x: x),
    ({"dry_multiplier": 3.0, "dry_sequence_breakers": ["upon"]}, lambda x: x),
    ({"mirostat": 2, "mirostat_tau": 0.02}, lambda x: keep(x, -np.log2(softmax(x)) <= 0.04)),
    ({"adaptive_target": 0.2}, lambda x: adaptive(x, 0.2)),
    (
        {"samplers": "top_k;temperature", "temperature": 7.0, "top_k": 3, "presence_penalty": 9.0},
        lambda x: keep(x / 7, ranked(x) < 3),
    ),
    (
        {"samplers": ["temp", "min-p"], "temperature": 7.0, "min_p": 0.3},
        lambda x: keep(x / 7, softmax(x / 7) >= 0.3 * softmax(x / 7).max()),
    ),
    ({"samplers": [], "temperature": 0.0}, lambda x: x),
    ({"temperature": 0.0}, lambda x: keep(x, ranked(x) < 1)),
]


@pytest.mark.parametrize(("options", "reference"), CASES, ids=lambda case: str(case)[:60])
def test_an_option_gives_its_distribution(
    story: Model, options: dict[str, Any], reference: Callable[[Floats], Floats]
) -> None:
    # Flatter logits, so that there is something to choose among.
    raw = story.logits(PROMPT)[-1].astype(np.float64)
    bias = {i: float(np.float32(-0.7 * x)) for i, x in enumerate(raw)}
    logits = raw + np.array([bias[i] for i in range(len(raw))])
    completion = story.generate(
        PROMPT,
        max_tokens=1,
        logit_bias=bias,
        logprobs=20,
        post_sampling_probs=True,
        seed=3,
        **{**FREE, **options},
    )
    expected = softmax(reference(logits))
    assert completion.logprobs is not None
    [chosen] = completion.logprobs
    assert len(chosen.top) == min(20, int((expected > 0).sum()))
    best = np.argsort(-expected, kind="stable")[: len(chosen.top)]
    got = np.exp([token.logprob for token in chosen.top])
    assert got == pytest.approx(expected[best], rel=1e-3)
    assert np.exp(chosen.logprob) == pytest.approx(expected[chosen.token], rel=1e-3)


def test_logprobs_are_the_models_unless_told_otherwise(story: Model) -> None:
    options: dict[str, Any] = {"max_tokens": 1, "logprobs": 2, "temperature": 0.0}
    before = story.generate(PROMPT, **options).logprobs
    after = story.generate(PROMPT, **options, post_sampling_probs=True).logprobs
    assert before is not None
    assert after is not None
    assert before[0].token == after[0].token
    assert before[0].logprob < 0 == after[0].logprob
    assert (len(before[0].top), len(after[0].top)) == (2, 1)
    with pytest.raises(RequestError, match="post_sampling_probs is true, but must be false"):
        story.generate(PROMPT, max_tokens=1, post_sampling_probs=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samplers": "top_k;tmperature"}, "'tmperature' .* did you mean 'temperature'"),
        ({"samplers": ["top_k", 3]}, "samplers must hold non-empty strings, got 3"),
        ({"samplers": ["qqq"]}, "'qqq' in samplers is not one of penalties, dry"),
        ({"dry_base": 0.5, "dry_multiplier": 1}, "dry_base is 0.5"),
        ({"dry_sequence_breakers": [""]}, "dry_sequence_breakers must hold non-empty"),
        ({"mirostat": 3}, "mirostat is 3, but must be 0, 1 or 2"),
        ({"mirostat": -1}, "mirostat is -1, but must be 0, 1 or 2"),
        ({"xtc_probability": "often"}, "xtc_probability is 'often', but must be a number"),
    ],
)
def test_bad_values_are_named(story: Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        story.generate("x", max_tokens=1, **options)


WILD: dict[str, Any] = {"temperature": 50.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
STATEFUL: list[dict[str, Any]] = [
    {},
    {"xtc_probability": 0.5, "xtc_threshold": 0.001},
    {"dry_multiplier": 5.0, "frequency_penalty": 2.0},
    {"mirostat": 1, "mirostat_tau": 3.0},
    {"mirostat": 2, "mirostat_tau": 3.0},
    {"adaptive_target": 0.01},
]


def test_a_seed_repeats_whatever_else_runs(story: Model) -> None:
    def generate(options: dict[str, Any]) -> list[int]:
        return story.generate(
            "x", seed=5, max_tokens=40, ignore_eos=True, **{**WILD, **options}
        ).tokens

    alone = [generate(options) for options in STATEFUL]
    assert len({tuple(tokens) for tokens in alone}) == len(STATEFUL)

    async def together() -> list[list[int]]:
        noise = [
            story.agenerate("x" * n, max_tokens=3 * n, ignore_eos=True, **WILD)
            for n in range(1, 12)
        ]
        mine = [
            story.agenerate("x", seed=5, max_tokens=40, ignore_eos=True, **{**WILD, **options})
            for options in STATEFUL
        ]
        mixed = [task for pair in zip(noise, mine, strict=False) for task in pair]
        results = await asyncio.gather(*mixed, *noise[len(mine) :])
        return [result.tokens for result in results[1 : 2 * len(mine) : 2]]

    for _ in range(3):
        assert asyncio.run(together()) == alone

    threads: list[list[int]] = [[] for _ in STATEFUL]

    def run(i: int) -> None:
        threads[i] = generate(STATEFUL[i])

    running = [threading.Thread(target=run, args=(i,)) for i in range(len(STATEFUL))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert threads == alone


def test_breakers_are_found_in_the_vocabulary(
    story: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences: list[tuple[int, list[int]]] = []

    class Spy:
        def __init__(self, given: list[tuple[int, list[int]]]) -> None:
            sequences.extend(given)

    monkeypatch.setattr("farthing.api.breakers._native.Breakers", Spy)
    tokenizer = story.tokenizer
    sets = BreakerSets(tokenizer)
    first = sets.find((",", "upon!"))
    found = dict(sequences)
    assert sets.find((",", "upon!")) is first, "kept"
    holding = [i for i in range(len(PIECES)) if b"," in tokenizer.token_bytes(i)]
    assert holding
    assert all(found[i] == [] for i in holding)
    # "upon" and then an exclamation mark.
    assert found[ID["▁upon"]] == tokenizer.encode("!", add_special=False)
    ends_with_u = [i for i in range(len(PIECES)) if tokenizer.token_bytes(i).endswith(b"u")]
    assert all(found[i] == tokenizer.encode("pon!", add_special=False) for i in ends_with_u)
    assert len(found) == len(sequences), "each once"
