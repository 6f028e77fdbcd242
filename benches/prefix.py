"""How soon a prompt is answered whose beginning was computed before.

    python benches/prefix.py MODEL.gguf [--prefix 4000] [--suffix 20] [--rounds 5] [--threads 2]

Times to the first token, medians of the rounds in milliseconds, with the least and the greatest:

- all of it: a prompt of random tokens, nothing known;
- suffix alone: as many tokens as the suffix has, without anything before them;
- from memory: another suffix after the same beginning;
- from a checkpoint or a copied page: the suffix after all of the beginning but its last 30 tokens;
- from files: the same beginning by a model that was loaded anew, with files in a temporary folder.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import farthing


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--prefix", type=int, default=4000)
    parser.add_argument("--suffix", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--folder", type=Path, help="for the files; default: a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        _measure(given, Path(folder))


def _measure(given: argparse.Namespace, folder: Path) -> None:
    chance = random.Random(0)
    times: dict[str, list[float]] = defaultdict(list)

    def load() -> farthing.Model:
        n_ctx = given.prefix + given.suffix + 64
        model = farthing.Model(
            given.model,
            n_ctx=n_ctx,
            n_threads=given.threads,
            max_sequences=2,
            prefix_cache_dir=folder,
        )
        # Weights are rearranged at their second use.
        for _ in range(3):
            first_token(model, tokens(model, 64), cache_prompt=False)
        return model

    def tokens(model: farthing.Model, n: int) -> list[int]:
        return [chance.randrange(model.info["n_vocab"]) for _ in range(n)]

    def note(name: str, seconds: float) -> None:
        times[name].append(1e3 * seconds)

    prefixes = []
    with load() as model:
        for _ in range(given.rounds):
            prefix = tokens(model, given.prefix)
            prefixes.append(prefix)
            note("all of it", first_token(model, prefix + tokens(model, given.suffix)))
            for cut, name in [(0, "from memory"), (30, "from a checkpoint or a copied page")]:
                suffix = tokens(model, given.suffix)
                note("suffix alone", first_token(model, suffix, cache_prompt=False))
                note(name, first_token(model, prefix[: len(prefix) - cut] + suffix))
    for prefix in prefixes:
        with load() as model:
            note("from files", first_token(model, prefix + tokens(model, given.suffix)))
    print(f"{given.model.name}: {given.prefix} + {given.suffix} tokens")
    for name, values in times.items():
        bounds = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{name:<36}{statistics.median(values):9.1f} ms   ({bounds})")


def first_token(model: farthing.Model, prompt: list[int], *, cache_prompt: bool = True) -> float:
    """Seconds to it."""
    start = time.perf_counter()
    model.generate(prompt, max_tokens=1, temperature=0, cache_prompt=cache_prompt)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
