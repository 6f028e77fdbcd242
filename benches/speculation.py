"""What guessing tokens gains and costs: rounds of decoding with and without, in turn.

    python benches/speculation.py RECITING.gguf [--draft SMALL.gguf] [--rounds 5] [--json FILE]

The files are those of `random_model.py ... --recite`, which follow each token by the next number.
So the text is known, and the prompt decides what there is to guess:

- edit: the prompt is the answer with 4 of 40 tokens changed, as when a file is edited;
- quote: the prompt has 30 of 40 tokens of the answer, as when documents are quoted;
- novel: nothing of the answer is in the prompt, which is random tokens;
- misleading: each pair of tokens of the answer is in the prompt, followed by another one.

Printed are tokens a second without and with guesses, each the median of the rounds, and the median
of the rounds' ratios; first, how much longer a pass takes with guesses after the last token. With
--draft the same text is guessed by another model, --streams 4 decodes so many at a time.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from farthing import Model
from farthing.types import Completion

FIRST = 10_000
"""The answers' first token; the prompts' other tokens are below it."""
APART = 1_000
"""Between the answers of streams."""


def edit(answer: Sequence[int], other: Callable[[int], list[int]]) -> list[int]:
    """The answer with a change in 40 tokens: 4 are replaced by 3, or left out, or 3 put in."""
    prompt: list[int] = []
    for i in range(0, len(answer), 40):
        piece = list(answer[i : i + 40])
        begin, end, new = [(10, 14, 3), (20, 24, 0), (30, 30, 3)][i // 40 % 3]
        prompt += piece[:begin] + other(new) + piece[end:]
    return prompt


def quote(answer: Sequence[int], other: Callable[[int], list[int]]) -> list[int]:
    """Pieces of the answer in another order, with other tokens between them."""
    pieces = [list(answer[i : i + 30]) for i in range(0, len(answer), 40)]
    return [token for piece in reversed(pieces) for token in other(10) + piece]


def novel(answer: Sequence[int], other: Callable[[int], list[int]]) -> list[int]:
    """Nothing of the answer."""
    return other(len(answer))


def misleading(answer: Sequence[int], other: Callable[[int], list[int]]) -> list[int]:
    """Pairs of the answer that do not go on like it."""
    return [token for i in range(len(answer)) for token in [*answer[i : i + 2], *other(1)]]


PROMPTS = {make.__name__: make for make in (edit, quote, novel, misleading)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--draft", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=400, help="of an answer")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--kinds", default=",".join(PROMPTS))
    parser.add_argument("--rows", default="1,2,3,4,5,6,8,11,16", help="tokens of a pass to time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(sys.argv[1:])
    results: dict[str, Any] = {}
    with Model(
        options.model,
        draft=options.draft,
        n_ctx=8 * options.tokens,
        n_threads=options.threads,
        max_sequences=options.streams,
    ) as model:
        if options.rows:
            results["rows"] = time_rows(model, [int(n) for n in options.rows.split(",")], options)
        for kind in filter(None, options.kinds.split(",")):
            results[kind] = compare(model, kind, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def time_rows(model: Model, counts: list[int], options: argparse.Namespace) -> dict[int, float]:
    """How much longer a pass takes than with one token, by the most tokens it may have.

    All guesses are right; a pass may still have fewer if more do not pay.
    """
    answer = range(FIRST, FIRST + options.tokens)
    milliseconds: dict[int, list[float]] = {n: [] for n in counts}
    sizes: dict[int, list[float]] = {n: [] for n in counts}
    for _ in range(options.rounds):
        for n in counts:
            timings = _answer(model, answer, answer, n - 1).timings
            n_passes = timings.predicted_n - timings.draft_n_accepted
            milliseconds[n].append(timings.predicted_ms / (n_passes - 1))
            sizes[n].append(timings.predicted_n / n_passes)
    ratios = {
        n: statistics.median(t / one for t, one in zip(times, milliseconds[counts[0]], strict=True))
        for n, times in milliseconds.items()
    }
    means = [statistics.median(size) for size in sizes.values()]
    print("tokens at most    " + "".join(f"{n:>8}" for n in counts))
    print("tokens of a pass  " + "".join(f"{mean:>8.1f}" for mean in means))
    medians = [statistics.median(times) for times in milliseconds.values()]
    print("milliseconds      " + "".join(f"{time:>8.1f}" for time in medians))
    print("ratio             " + "".join(f"{ratio:>8.2f}" for ratio in ratios.values()))
    return ratios


def compare(model: Model, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Answers of one kind without and with guesses."""
    chance = random.Random(0)

    def other(n: int) -> list[int]:
        return [chance.randrange(1000, FIRST) for _ in range(n)]

    answers, prompts = [], []
    for stream in range(options.streams):
        first = FIRST + stream * APART
        answers.append(range(first, first + options.tokens))
        prompts.append(PROMPTS[kind](answers[-1], other))
    rates: dict[int, list[float]] = {0: [], 16: []}
    drafted = accepted = 0
    with ThreadPoolExecutor(options.streams) as pool:
        for number in range(options.rounds):
            # In turn first, so that neither gains from what the machine does after the other.
            for n in sorted(rates, reverse=number % 2 == 1):
                jobs = [
                    pool.submit(_answer, model, prompt, answer, n)
                    for prompt, answer in zip(prompts, answers, strict=True)
                ]
                timings = [job.result().timings for job in jobs]
                rates[n].append(sum(t.predicted_per_second for t in timings))
                drafted += sum(t.draft_n for t in timings)
                accepted += sum(t.draft_n_accepted for t in timings)
    ratios = [fast / slow for slow, fast in zip(rates[0], rates[16], strict=True)]
    plain, guessed = (statistics.median(rate) for rate in rates.values())
    result = {
        "plain": plain,
        "guessed": guessed,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "drafted": drafted / options.rounds,
        "accepted": accepted / options.rounds,
    }
    print(
        f"{kind:<12}{plain:>8.1f} t/s plain{guessed:>8.1f} guessed, ratio {result['ratio']:.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}), "
        f"{result['accepted']:.0f} of {result['drafted']:.0f} guesses right"
    )
    return result


def _answer(
    model: Model, prompt: Sequence[int], answer: Sequence[int], n_draft_max: int
) -> Completion:
    """The answer, once the prompt is in the cache."""
    ids = [*prompt, answer[0] - 1]
    done = model.generate(
        ids, max_tokens=len(answer), temperature=0, ignore_eos=True, n_draft_max=n_draft_max
    )
    assert done.tokens == list(answer), "the model recites something else"
    return done


if __name__ == "__main__":
    main()
