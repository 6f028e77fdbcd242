"""The programs that are compared: their commands, and how their output is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from child import Done

FARTHING = "farthing"

SERVING = Path(__file__).parents[1] / "serving"

Measured = tuple[str, str, float]
"""A test such as `tg32 @ 4096`, a program with its settings, and the value."""


@dataclass(frozen=True)
class Visit:
    """One run of one program."""

    command: list[str]
    read: Callable[[Done], list[Measured]]
    environment: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None


@dataclass(frozen=True)
class Programs:
    """Where they are, and what all runs have in common."""

    farthing: list[str]
    llama_bench: str
    llama_batched_bench: str
    threads: int
    llama_server: str = "llama-server"
    isa: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """For Farthing."""
        return {} if self.isa is None else {"FARTHING_ISA": self.isa}

    def ours(self, words: Iterable[str], read: Callable[[Done], list[Measured]]) -> Visit:
        """A run of Farthing, with the number of threads."""
        command = [*self.farthing, *words, "-t", str(self.threads)]
        return Visit(command, read, self.environment)

    def bench(self, model: Path, sizes: list[str]) -> Visit:
        """`farthing bench`."""
        words = ["bench", str(model), *sizes, "-r", "1", "-o", "json"]
        return self.ours(words, lambda done: bench_rows(done.output, lambda _: FARTHING))

    def bench_parallel(self, model: Path, sequences: Sequence[int], n_gen: int) -> Visit:
        """`farthing bench` with sequences side by side."""
        sizes = ["-p", "0", "-n", str(n_gen), "-b", ",".join(map(str, sequences))]
        words = ["bench", str(model), *sizes, "-r", "1", "-o", "json"]
        return self.ours(words, lambda done: parallel_rows(done.output))

    def theirs(
        self,
        model: Path,
        sizes: list[str],
        settings: list[str],
        read: Callable[[Done], list[Measured]] | None = None,
    ) -> Visit:
        """`llama-bench`, which has the same sizes and output."""
        common = ["-t", str(self.threads), "-r", "1", "-o", "json"]
        command = [self.llama_bench, "-m", str(model), *sizes, *common, *settings]
        return Visit(command, read or (lambda done: bench_rows(done.output, setting)))

    def batched(self, model: Path, sequences: Sequence[int], n_gen: int, repack: bool) -> Visit:
        """`llama-batched-bench`: prompts of one token, then all sequences side by side."""
        sizes = ["-npp", "1", "-ntg", str(n_gen), "-npl", ",".join(map(str, sequences))]
        # It rounds the context of each sequence up to 256 positions.
        context = ["-c", str(max(sequences) * (n_gen + 256))]
        threads = ["-t", str(self.threads), "-tb", str(self.threads)]
        layout = ["--repack" if repack else "--no-repack"]
        form = ["--output-format", "jsonl"]
        command = [self.llama_batched_bench, "-m", str(model), *sizes, *context, *threads]
        name = layout_name(repack)
        return Visit([*command, *layout, *form], lambda done: batched_rows(done.output, name))

    def serving(self, model: Path, words: Sequence[str], flags: Sequence[str] | None) -> Visit:
        """A workload of `benches/serving`, on llama.cpp's server with some flags or on Farthing."""
        name = FARTHING if flags is None else " ".join(flags) or "defaults"
        program = "farthing" if flags is None else "llama-server"
        command = [sys.executable, str(SERVING), words[0], program, str(model), *words[1:]]
        command += ["--threads", str(self.threads), "--server", self.llama_server, "--"]

        def read(done: Done) -> list[Measured]:
            return [(test, name, value) for test, value in json.loads(done.output).items()]

        return Visit([*command, *(flags or [])], read, self.environment)


def layout_name(repack: bool) -> str:
    """What the table calls llama.cpp with its weights repacked or as they are."""
    return "repacked" if repack else "as is"


def setting(entry: dict[str, Any]) -> str:
    """The settings of a row of llama-bench, as the table calls them."""
    flash = {0: ", no flash attention", 1: ", flash attention"}.get(entry["flash_attn"], "")
    return layout_name(entry["repack"]) + flash


def bench_rows(output: str, name: Callable[[dict[str, Any]], str]) -> list[Measured]:
    """Tokens a second, from llama-bench's JSON."""
    return [(test_name(entry), name(entry), entry["avg_ts"]) for entry in json.loads(output)]


def test_name(entry: dict[str, Any]) -> str:
    """As `pp512` or `tg32 @ 4096`."""
    test = f"pp{entry['n_prompt']}" if entry["n_prompt"] else f"tg{entry['n_gen']}"
    return f"{test} @ {entry['n_depth']}" if entry["n_depth"] else test


def parallel_name(n_gen: int, sequences: int) -> str:
    """As `tg32 x 8`."""
    return f"tg{n_gen} x {sequences}"


def parallel_rows(output: str) -> list[Measured]:
    """Tokens a second of all sequences together, from the JSON of `farthing bench`."""
    return [
        (parallel_name(entry["n_gen"], entry["n_parallel"]), FARTHING, entry["avg_ts"])
        for entry in json.loads(output)
    ]


def batched_rows(output: str, name: str) -> list[Measured]:
    """Tokens a second of all sequences together, from the JSON lines of llama-batched-bench."""
    entries = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [(parallel_name(entry["tg"], entry["pl"]), name, entry["speed_tg"]) for entry in entries]
