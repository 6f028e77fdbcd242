"""What a grammar costs: tokens a second with and without, and the time of a mask.

    python benches/masks.py FILE [--tokens 100] [--rounds 3]

Masks are computed by a thread of their own; its processor time is from /proc (Linux). Guessing is
off, as it makes what a grammar forces quicker than free text; the last column is with it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any

from farthing import Completion, Model

SCHEMAS = Path(__file__).parents[1] / "tests" / "schemas"
NAMES = ("movie_review", "invoice", "cv", "package_json", "free_text")
PROMPT = "Write about a fox and the sea, at length, as JSON:"


def mask_seconds() -> float:
    """Processor time of the threads that compute masks."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().strip() == "farthing-masks":
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def speed(answer: Completion) -> float:
    return (answer.timings.predicted_n - 1) / answer.timings.predicted_ms * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    cases: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        cases[name] = {"json_schema": json.loads((SCHEMAS / f"{name}.json").read_text())}
    cases["any object"] = {"response_format": {"type": "json_object"}}
    with Model(asked.model, n_ctx=2048, prefix_cache_bytes=0) as model:
        print(f"{model.info['n_vocab']} tokens in the vocabulary")

        def run(options: dict[str, Any], seed: int, **more: Any) -> Completion:
            return model.generate(
                PROMPT, max_tokens=asked.tokens, temperature=0.8, seed=seed, **options, **more
            )

        for options in ({}, *cases.values()):
            run(options, 0)
        for name, options in cases.items():
            ratios, guessed, n, masks = [], [], 0, 0.0
            for seed in range(1, asked.rounds + 1):
                # In turn, so that what else the machine does falls on all alike.
                free = speed(run({}, seed, n_draft_max=0))
                before = mask_seconds()
                answer = run(options, seed, n_draft_max=0)
                masks += mask_seconds() - before
                n += answer.timings.predicted_n
                ratios.append(speed(answer) / free)
                guessed.append(speed(run(options, seed)) / free)
            print(
                f"{name:14} {median(ratios):6.1%} of the speed without ({free:.1f} tokens/s),"
                f" {masks / n * 1e6:4.0f} us a mask, {n} tokens;"
                f" with guesses {median(guessed):6.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
