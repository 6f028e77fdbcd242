"""Farthing against llama.cpp on the same files, in turn, as ratios.

    python benches/peers.py --llama-bench PATH/llama-bench model.gguf [...] -p 512 -n 64 -t 2

Machines differ from minute to minute, so a round runs every program once and the ratio is taken
within the round: to the better of llama.cpp with its weights repacked and as they are. The table
gives the median of the rounds and, for ratios, the least and the greatest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = tuple[str, str]  # file name, test such as "pp512" or "tg64 @ 4096"


def rows(command: Sequence[str]) -> dict[str, float]:
    """Tokens per second by test, from a program that prints llama-bench's JSON."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = {}
    entries: list[dict[str, Any]] = json.loads(done.stdout)
    for entry in entries:
        prompt, generated, depth = (entry[k] for k in ("n_prompt", "n_gen", "n_depth"))
        test = f"pp{prompt}" if prompt else f"tg{generated}"
        found[f"{test} @ {depth}" if depth else test] = entry["avg_ts"]
    return found


def commands(args: argparse.Namespace, model: Path) -> dict[str, list[str]]:
    sizes = ["-p", args.prompt, "-n", args.gen, "-d", args.depth, "-t", args.threads]
    common = [*sizes, "-r", "1", "-o", "json"]
    farthing = [sys.executable, "-m", "farthing", "bench", str(model), *common]
    llama = [args.llama_bench, "-m", str(model), *common]
    return {
        "farthing": farthing,
        "repacked": [*llama, "--repack", "1"],
        "as is": [*llama, "--repack", "0"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--llama-bench", required=True, help="llama.cpp's program of that name")
    parser.add_argument("-p", "--prompt", default="512", help="prompt lengths, with commas")
    parser.add_argument("-n", "--gen", default="64", help="generated lengths, with commas")
    parser.add_argument("-d", "--depth", default="0", help="context before them, with commas")
    parser.add_argument("-t", "--threads", default="2")
    parser.add_argument("-r", "--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all measurements there")
    args = parser.parse_args()
    measured: dict[Row, list[dict[str, float]]] = {}
    for model in args.models:
        for _ in range(args.rounds):
            results = {name: rows(c) for name, c in commands(args, model).items()}
            for test in results["farthing"]:
                at = {name: result[test] for name, result in results.items()}
                measured.setdefault((model.name, test), []).append(at)
    print(f"| {'file':28} | {'test':14} | farthing | llama.cpp | ratio (least to greatest) |")
    print(f"| {'-' * 28} | {'-' * 14} | -------: | --------: | :------------------------ |")
    for (name, test), rounds in measured.items():
        ours = [r["farthing"] for r in rounds]
        best = [max(r["repacked"], r["as is"]) for r in rounds]
        ratios = [a / b for a, b in zip(ours, best, strict=True)]
        print(
            f"| {name:28} | {test:14} | {statistics.median(ours):8.1f} |"
            f" {statistics.median(best):9.1f} | {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    if args.json:
        table = [{"file": f, "test": t, "rounds": r} for (f, t), r in measured.items()]
        args.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
