"""Farthing against llama.cpp on the same files, in turn, as ratios.

    python benches/peers MODEL.gguf ... --rows prefill,decode --rounds 3 --threads 2

Machines differ from minute to minute, so in a round every program runs once, forwards and backwards
by turns, and the ratio is taken within the round: to the best of llama.cpp's settings, which are
its weights repacked or as they are and, after a long context, flash attention or not. After the
first round, runs that are a fifth or more behind are left out. The machine's limits, memory reading
and int8 products, are measured in every round, too. The table gives the median of the rounds and,
for ratios, the least and the greatest; below 1 is better for times and memory.

The kinds of rows:

- prefill: a prompt of 512 tokens; decode: 32 tokens generated from an empty context; depth: both
  after 4096 tokens; deep: 32 tokens after 16384; parallel: 1 to 16 sequences generating together;
- streams: 1 to 16 answers side by side through the library's asyncio API, and by llama-server over
  HTTP; agents: the seconds that 3 agents wait in all, whose conversations grow from 2000 to 8000
  tokens in 10 turns, to the first tokens and to the ends of the answers (`benches/serving`);
- load: a process from its start to its end, with the first token after a short prompt, the file
  being in the system's cache (warm) or not (cold): `farthing run`, and `llama-bench`, which
  tokenizes and samples nothing;
- memory: a process's peak, mapped file included, and its ratio to weights and KV cache.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import machine
import model
from child import Failed, run
from kinds import KINDS, Kind, Sizes
from model import Model
from programs import FARTHING, Measured, Programs, Visit
from table import Row, markdown, worse

DEFAULT_ROWS = "prefill,decode"


def main() -> None:
    """Measure, print the table and write the JSON."""
    options = _parse(sys.argv[1:])
    programs = Programs(
        farthing=shlex.split(options.farthing),
        llama_bench=options.llama_bench,
        llama_batched_bench=options.llama_batched_bench,
        threads=options.threads,
        llama_server=options.llama_server,
        isa=options.isa,
    )
    sizes = Sizes(
        prompt=options.prompt,
        generated=options.gen,
        depth=options.depth,
        deep=options.deep,
        sequences=tuple(options.sequences),
        agents=options.agents,
        turns=options.turns,
        longest=options.longest,
    )
    report = Report(programs)
    try:
        for path in options.models:
            about = model.read(path, programs.farthing)
            for kind in options.rows:
                report.measure(about, KINDS[kind], sizes, options.rounds)
                if options.json:
                    options.json.write_text(json.dumps(report.as_json(), indent=1))
    except Failed as error:
        sys.exit(f"peers: {error}")
    finally:
        if report.rows:
            print(markdown(list(report.rows.values())))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.gguf")
    names = ", ".join(KINDS)
    parser.add_argument("--rows", type=_kinds, default=DEFAULT_ROWS, help=f"of {names}; or all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=Sizes.prompt, help="tokens of prompts")
    parser.add_argument("--gen", type=int, default=Sizes.generated, help="tokens generated")
    parser.add_argument("--depth", type=int, default=Sizes.depth, help="tokens before, in depth")
    parser.add_argument("--deep", type=int, default=Sizes.deep, help="tokens before, in deep")
    parser.add_argument(
        "--sequences", type=int, nargs="+", default=Sizes.sequences, help="side by side"
    )
    parser.add_argument("--isa", help="Farthing's instruction-set level, as in FARTHING_ISA")
    parser.add_argument("--farthing", default=f"{sys.executable} -m farthing", help="its command")
    parser.add_argument("--llama-bench", default="llama-bench", help="llama.cpp's program")
    parser.add_argument("--llama-batched-bench", default="llama-batched-bench")
    parser.add_argument("--llama-server", default="llama-server")
    parser.add_argument("--agents", type=int, default=Sizes.agents, help="conversations at a time")
    parser.add_argument("--turns", type=int, default=Sizes.turns, help="of each agent")
    parser.add_argument(
        "--longest", type=int, default=Sizes.longest, help="tokens of its last turn"
    )
    parser.add_argument("--json", type=Path, help="write all measurements there")
    return parser.parse_args(arguments)


def _kinds(text: str) -> list[str]:
    names = list(KINDS) if text == "all" else text.split(",")
    for name in names:
        if name not in KINDS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(KINDS)}")
    return names


class Report:
    """Rows that grow with every round."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._started = datetime.now(timezone.utc)
        self._machine = machine.describe()
        self._limits: list[dict[str, Any]] = []
        self._commands: list[str] = []
        self.rows: dict[tuple[str, str], Row] = {}

    def measure(self, about: Model, kind: Kind, sizes: Sizes, rounds: int) -> None:
        """Run a kind's programs in turn."""
        path = about.path
        visits = kind.visits(self._programs, path, sizes)
        self._commands += [shlex.join(visit.command) for visit in visits]
        for number in range(rounds):
            limits = machine.measure(self._programs)
            self._limits.append({"file": path.name, **dataclasses.asdict(limits)})
            order = visits if number % 2 == 0 else visits[::-1]
            measured = {id(visit): _visit(visit) for visit in order}
            for test, values in _by_test(measured.values()).items():
                row = self.rows.setdefault(
                    (path.name, test), Row(path.name, test, kind.unit, kind.less_is_better)
                )
                row.rounds.append(values)
                row.limits.append(kind.limit(about, test, values[FARTHING], limits))
                _log(f"{path.name}, round {number + 1} of {rounds}, {test}: {_in_words(values)}")
            visits = [visit for visit in visits if self._is_wanted(path, measured[id(visit)])]

    def _is_wanted(self, path: Path, measured: list[Measured]) -> bool:
        """Farthing, and what is not far behind the best of the last round."""
        rows = [self.rows[path.name, test] for test, _, _ in measured]
        if any(name == FARTHING for _, name, _ in measured):
            return True
        best = [row.best(row.rounds[-1])[1] for row in rows]
        return not worse([value for _, _, value in measured], best, rows[0].less_is_better)

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured, and how."""
        return {
            "date": self._started.isoformat(timespec="seconds"),
            "machine": self._machine,
            "versions": _versions(self._programs),
            "threads": self._programs.threads,
            "environment": self._programs.environment,
            "commands": self._commands,
            "limits": self._limits,
            "rows": [row.as_json() for row in self.rows.values()],
        }


def _visit(visit: Visit) -> list[Measured]:
    if visit.prepare is not None:
        visit.prepare()
    return visit.read(run(visit.command, visit.environment))


def _by_test(measured: Any) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for rows in measured:
        for test, name, value in rows:
            found.setdefault(test, {})[name] = value
    return found


def _versions(programs: Programs) -> dict[str, str]:
    commit = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
    )
    ours = metadata.version("farthing")
    theirs = run([programs.llama_bench, "--version"]).errors.strip()
    return {"farthing": f"{ours} {commit.stdout.strip()}".strip(), "llama.cpp": theirs}


def _in_words(values: dict[str, float]) -> str:
    return "; ".join(f"{name} {value:.4g}" for name, value in values.items())


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
