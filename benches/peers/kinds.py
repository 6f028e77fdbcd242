"""The kinds of rows: what is run for each, and what its values are compared with."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from child import Done
from machine import Limits
from model import Model
from programs import FARTHING, Measured, Programs, Visit, layout_name

TEXT = "Once upon a time there was a"
"""As many tokens as words in the usual vocabularies, and one that begins the text."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of tokens, and of sequences side by side."""

    prompt: int = 512
    generated: int = 32
    depth: int = 4096
    deep: int = 16384
    sequences: tuple[int, ...] = (1, 2, 4, 8, 16)
    agents: int = 3
    turns: int = 10
    longest: int = 8000
    """An agent's last prompt; its first is a quarter of that."""


@dataclass(frozen=True)
class Kind:
    """A kind of row."""

    visits: Callable[[Programs, Path, Sizes], list[Visit]]
    """The runs of a round; Farthing's is the first."""
    limit: Callable[[Model, str, float, Limits], float | None]
    """The share of the machine's limit that a test's value is, or for memory its ratio to what the
    model needs."""
    unit: str = "t/s"
    less_is_better: bool = False


def prefill(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """A prompt."""
    return _bench(programs, model, ["-p", str(sizes.prompt), "-n", "0"])


def decode(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """Generation from an empty context."""
    return _bench(programs, model, ["-p", "0", "-n", str(sizes.generated)])


def _bench(programs: Programs, model: Path, words: list[str]) -> list[Visit]:
    theirs = [programs.theirs(model, words, ["--repack", repack]) for repack in "10"]
    return [programs.bench(model, words), *theirs]


def depth(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """A prompt and generation after a long context."""
    words = ["-p", str(sizes.prompt), "-n", str(sizes.generated), "-d", str(sizes.depth)]
    return _at_depth(programs, model, words)


def deep(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """Generation after a very long context."""
    words = ["-p", "0", "-n", str(sizes.generated), "-d", str(sizes.deep)]
    return _at_depth(programs, model, words)


def _at_depth(programs: Programs, model: Path, words: list[str]) -> list[Visit]:
    """Both layouts in one run of llama-bench, which then computes the context once."""
    theirs = [programs.theirs(model, words, ["-fa", fa, "--repack", "1,0"]) for fa in "10"]
    return [programs.bench(model, words), *theirs]


def parallel(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """Several sequences generating side by side."""
    counts, n = sizes.sequences, sizes.generated
    theirs = [programs.batched(model, counts, n, repack) for repack in (True, False)]
    return [programs.bench_parallel(model, counts, n), *theirs]


def streams(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """Answers side by side, as a user of the library or of a server gets them."""
    counts = [str(count) for count in sizes.sequences]
    words = ["streams", "--gen", str(sizes.generated), "--counts", *counts]
    flags = (None, [], ["--no-repack"])
    return [programs.serving(model, words, some) for some in flags]


def agents(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """Seconds that agents with growing conversations wait."""
    words = ["agents", "--gen", str(sizes.generated), "--agents", str(sizes.agents)]
    words += ["--turns", str(sizes.turns)]
    words += ["--first", str(sizes.longest // 4), "--longest", str(sizes.longest)]
    # A slot for each agent keeps its conversation; chunks may be taken from elsewhere in it.
    flags = (None, [], ["--cache-reuse", "256"], ["--kv-unified"])
    return [programs.serving(model, words, some) for some in flags]


def load(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """A program from its start to its end, with one token after a short prompt in between."""
    return [
        Visit(visit.command, visit.read, visit.environment, prepare)
        for test, prepare in (("warm", lambda: keep(model)), ("cold", lambda: drop(model)))
        for visit in _first_token(programs, model, f"first token, {test}")
    ]


def _first_token(programs: Programs, model: Path, test: str) -> list[Visit]:
    def seconds(name: str) -> Callable[[Done], list[Measured]]:
        return lambda done: [(test, name, done.seconds)]

    words = ["run", str(model), TEXT, "--raw", "-n", "1", "--temp", "0"]
    prompt = ["-p", "8", "-n", "0", "--no-warmup"]
    theirs = [
        programs.theirs(model, prompt, ["--repack", repack], seconds(layout_name(repack == "1")))
        for repack in "10"
    ]
    return [programs.ours(words, seconds(FARTHING)), *theirs]


def memory(programs: Programs, model: Path, sizes: Sizes) -> list[Visit]:
    """The most memory in RAM, for a prompt and some generation."""
    test = f"peak memory, {sizes.prompt} + {sizes.generated} tokens"

    def mebibytes(name: str) -> Callable[[Done], list[Measured]]:
        return lambda done: [(test, name, done.peak_bytes / 2**20)]

    tokens = ["-p", str(sizes.prompt), "-n", str(sizes.generated)]
    words = ["bench", str(model), *tokens, "-r", "1", "-o", "json"]
    theirs = [
        programs.theirs(model, tokens, ["--repack", repack], mebibytes(layout_name(repack == "1")))
        for repack in "10"
    ]
    return [programs.ours(words, mebibytes(FARTHING)), *theirs]


def keep(path: Path) -> None:
    """Have the file in the system's cache."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(1 << 22)
        while file.readinto(buffer):
            pass


def drop(path: Path) -> None:
    """Take the file out of the system's cache; works while no program has it mapped."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def share_of_speed(model: Model, test: str, rate: float, limits: Limits) -> float | None:
    """Of the int8 peak for prompts, of the reading rate for one sequence's generation."""
    sizes = re.fullmatch(r"(pp|tg)(\d+)(?: @ (\d+))?", test)
    if sizes is None:
        return None
    kind, n, before = sizes[1], int(sizes[2]), int(sizes[3] or 0)
    if kind == "tg":
        positions = before + n / 2
        n_bytes = model.token_bytes + positions * model.position_bytes
        return rate * n_bytes / limits.read_bytes_per_second
    # Attention after a long context is no product of bytes.
    return None if before else rate * model.prompt_operations / limits.int8_ops_per_second


def ratio_to_need(model: Model, test: str, mebibytes: float, limits: Limits) -> float | None:
    """To the weights and the KV cache of one sequence."""
    positions = sum(map(int, re.findall(r"\d+", test)))
    return mebibytes * 2**20 / model.sequence_bytes(positions)


def no_limit(model: Model, test: str, value: float, limits: Limits) -> float | None:
    """Nothing is known."""
    return None


KINDS = {
    "prefill": Kind(prefill, share_of_speed),
    "decode": Kind(decode, share_of_speed),
    "depth": Kind(depth, share_of_speed),
    "deep": Kind(deep, share_of_speed),
    "parallel": Kind(parallel, no_limit),
    "streams": Kind(streams, no_limit),
    "agents": Kind(agents, no_limit, "s", less_is_better=True),
    "load": Kind(load, no_limit, "s", less_is_better=True),
    "memory": Kind(memory, ratio_to_need, "MiB", less_is_better=True),
}
