"""Many requests of all kinds at once, for as long as it is told: `python tests/soak.py 600`.

Half of the users are threads, half are tasks of one event loop. Their requests have random lengths,
sampling parameters, constraints and priorities; some are cancelled after a few pieces, some have a
timeout, some are impossible, some fail in the middle, some are batches or texts to embed, and at
times the queue is full. Every answer must be the beginning of the one that a request has alone, and
all of it where it ended by itself; memory must not grow; nobody may wait for ever.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farthing import BatchError, Completion, FarthingError, Model, QueueFullError, RequestError
from models import PIECES, ROUND, Shape, Tiny

STUCK = 120.0
"""Seconds without the end of any request that count as a deadlock."""

PATIENCE = 120.0
"""Seconds beyond the time within which all that must happen has happened."""

BACKOFF = 0.05
"""Seconds before the next request where the queue was full."""

WARM = 0.2
"""The part of the time after which memory may not grow any more."""


def _break(input_ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float32]) -> Any:
    """A logits_processor that fails after some tokens, in one of two ways."""
    if len(input_ids) < 12:
        return scores
    return [] if input_ids[-1] % 2 else 1 / 0


BAD: list[dict[str, Any]] = [
    {"prompt": []},
    {"prompt": [10**6]},
    {"prompt": [5] * 5000},
    {"prompt": [5], "top_p": 3.0},
    {"prompt": [5], "timeout": -1},
    {"prompt": [5], "temperature": float("nan")},
    {"prompt": [5], "regex": "("},
]
BROKEN: dict[str, Any] = {"prompt": [5, 9], "max_tokens": 40, "ignore_eos": True}
CONSTRAINTS: list[dict[str, Any]] = [
    {},
    {},
    {"regex": "[a-f ]{4,30}"},
    {"json_schema": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 4}},
]


@dataclass(frozen=True)
class Case:
    """A request, and what it answers alone."""

    options: dict[str, Any]
    alone: Completion
    vector: npt.NDArray[np.float32]
    """The embedding of its prompt."""


@dataclass
class Report:
    """What has happened; changed under the lock."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    """Seconds from the start, and resident bytes."""
    last_end: float = field(default_factory=time.perf_counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, end: str, wrong: str | None = None) -> None:
        """A request has ended so."""
        with self.lock:
            self.ends[end] += 1
            self.last_end = time.perf_counter()
            if wrong is not None:
                self.wrong.append(wrong)

    @property
    def growth(self) -> int:
        """Bytes by which memory grew since it was warm, as medians of the first and last tenth."""
        late = [n for _, n in self.memory[round(len(self.memory) * WARM) :]]
        part = max(len(late) // 10, 1)
        return round(statistics.median(late[-part:]) - statistics.median(late[:part]))


class Soak:
    """Users of one model."""

    def __init__(
        self,
        model: Model,
        cases: Sequence[Case],
        seconds: float,
        seed: int,
        least: Mapping[str, int],
    ) -> None:
        self._model = model
        self._cases = cases
        self._end = time.perf_counter() + seconds
        self._seed = seed
        self._least = least
        self.report = Report()

    def run(self, n_users: int) -> Report:
        """Let so many users make requests until the time is over and all has happened."""
        threads = [
            threading.Thread(target=self._use, args=[i], daemon=True) for i in range(n_users // 2)
        ]
        n_tasks = n_users - len(threads)
        threads.append(threading.Thread(target=self._use_tasks, args=[n_tasks], daemon=True))
        for thread in threads:
            thread.start()
        start = time.perf_counter()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
            now = time.perf_counter()
            self.report.memory.append((now - start, resident_bytes()))
            if now - self.report.last_end > STUCK:
                self.report.wrong.append(f"no request has ended for {STUCK} s")
                break
        return self.report

    def _goes_on(self) -> bool:
        now, report = time.perf_counter(), self.report
        if now < self._end or report.wrong:
            return not report.wrong
        rare = {end: n for end, n in self._least.items() if report.ends[end] < n}
        if rare and now > self._end + PATIENCE:
            report.note("error", f"has not happened so often: {rare}")
        return bool(rare)

    def _use(self, number: int) -> None:
        rng = random.Random(self._seed * 1000 + number)
        kinds = (self._stream, self._refused, self._broken, self._batch, self._embed)
        while self._goes_on():
            [act] = rng.choices(kinds, (75, 10, 5, 5, 5))
            try:
                act(rng)
            except QueueFullError:
                self.report.note("queue full")
                time.sleep(BACKOFF)
            except BaseException as error:
                self.report.note("error", f"{type(error).__name__}: {error}")

    def _stream(self, rng: random.Random) -> None:
        case, options, n_pieces = self._choose(rng)
        stream = self._model.stream(**options)
        for nth, _ in enumerate(stream):
            if nth == n_pieces:
                stream.cancel()
        self._check(case, stream.result)

    def _batch(self, rng: random.Random) -> None:
        case, options, _ = self._choose(rng)
        prompts = [options.pop("prompt")] * 3
        try:
            results = self._model.generate_batch(prompts, **options)
        except BatchError as error:
            # Others have taken the places in the queue meanwhile.
            if any(not isinstance(r, Completion | QueueFullError) for r in error.results):
                raise
            results = [r for r in error.results if isinstance(r, Completion)]
        for result in results:
            self._check(case, result)

    def _embed(self, rng: random.Random) -> None:
        cases = rng.choices(self._cases, k=rng.randrange(1, 5))
        vectors = self._model.embed([case.options["prompt"] for case in cases])
        right = np.array_equal(vectors, [case.vector for case in cases])
        self.report.note("embedded", None if right else "another embedding than alone")

    def _use_tasks(self, n: int) -> None:
        async def users() -> None:
            await asyncio.gather(*(self._ause(10_000 + i) for i in range(n)))

        asyncio.run(users())

    async def _ause(self, number: int) -> None:
        rng = random.Random(self._seed * 1000 + number)
        while self._goes_on():
            try:
                case, options, n_pieces = self._choose(rng)
                if rng.random() < 0.2:
                    await self._cancelled(options, rng.random() * 0.05)
                    continue
                async with self._model.stream(**options) as stream:
                    nth = 0
                    async for _ in stream:
                        if nth == n_pieces:
                            break
                        nth += 1
                self._check(case, stream.result)
            except QueueFullError:
                self.report.note("queue full")
                await asyncio.sleep(BACKOFF)
            except BaseException as error:
                self.report.note("error", f"{type(error).__name__}: {error}")

    async def _cancelled(self, options: dict[str, Any], seconds: float) -> None:
        task = asyncio.create_task(self._model.agenerate(**options))
        await asyncio.sleep(seconds)
        task.cancel()
        try:
            await task
            self.report.note("too late to cancel")
        except asyncio.CancelledError:
            self.report.note("task cancelled")

    def _choose(self, rng: random.Random) -> tuple[Case, dict[str, Any], int | None]:
        """A case, the options to ask for it with, and after which piece to leave it."""
        case = rng.choice(self._cases)
        options = {**case.options, "priority": rng.choice((0, 0, 0, 1, -1))}
        fate = rng.random()
        if fate < 0.15:
            options["timeout"] = rng.random() * 0.3
        return case, options, rng.randrange(10) if fate > 0.8 else None

    def _refused(self, rng: random.Random) -> None:
        bad = rng.choice(BAD)
        try:
            self._model.generate(**bad)
        except RequestError:
            self.report.note("refused")
        else:
            self.report.note("error", f"not refused: {bad}")

    def _broken(self, rng: random.Random) -> None:
        try:
            self._model.generate(**BROKEN, seed=rng.randrange(100), logits_processor=_break)
        except QueueFullError:
            raise
        except FarthingError as error:
            wrong = None if "logits_processor" in str(error) else f"failed otherwise: {error}"
            self.report.note("failed", wrong)
        else:
            self.report.note("error", "what breaks did not fail")

    def _check(self, case: Case, result: Completion) -> None:
        alone, tokens = case.alone, result.tokens
        right = tokens == alone.tokens[: len(tokens)]
        if result.finish_reason not in ("timeout", "cancelled"):
            right = tokens == alone.tokens and result.finish_reason == alone.finish_reason
        wrong = None if right else f"{case.options}: {tokens} instead of {alone.tokens}"
        self.report.note(result.finish_reason, wrong)


def make_cases(path: Path, n: int, rng: random.Random) -> list[Case]:
    """Requests, each answered alone by a model without anything kept."""
    beginnings = [[rng.randrange(6, len(PIECES)) for _ in range(200)] for _ in range(4)]
    cases = []
    with Model(path, max_sequences=1, prefix_cache_bytes=0, n_draft_max=0) as model:
        for seed in range(n):
            beginning = rng.choice(beginnings)[: rng.choice((0, 0, 3, 64, 150, 200))]
            options = {
                "prompt": beginning
                + [rng.randrange(6, len(PIECES)) for _ in range(rng.randrange(1, 60))],
                "max_tokens": rng.choice((1, 4, 16, 40, 90)),
                "seed": seed,
                "temperature": rng.choice((0.0, 0.8, 3.0, 20.0)),
                "top_k": rng.choice((0, 40)),
                "min_p": rng.choice((0.0, 0.05)),
                "repeat_penalty": rng.choice((1.0, 1.0, 1.2)),
            }
            constraint = rng.choice(CONSTRAINTS)
            # What is constrained ends where it must.
            options |= constraint or {"ignore_eos": True}
            [vector] = model.embed([options["prompt"]])
            cases.append(Case(options, model.generate(**options), vector))
    return cases


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
    return int(pages) * 4096


def soak(
    seconds: float,
    n_users: int,
    n_cases: int,
    folder: Path,
    seed: int = 0,
    least: Mapping[str, int] | None = None,
) -> Report:
    """Run it with a small model written to the folder.

    `least` says how often requests must have ended in which ways; it goes on until they have.
    """
    path = Tiny(Shape(context=512), story=ROUND).write(folder / "soak.gguf")
    cases = make_cases(path, n_cases, random.Random(seed))
    with Model(path, max_sequences=6, max_queue=round(n_users * 0.9), max_gap_ms=5) as model:
        report = Soak(model, cases, seconds, seed, least or {}).run(n_users)
        if not report.wrong:
            _expect_nothing_left(model, report)
    return report


def _expect_nothing_left(model: Model, report: Report) -> None:
    end = time.perf_counter() + PATIENCE
    while True:
        status = model._engine.status
        left = {name: status[name] for name in ("running", "waiting", "used_pages")}
        if not any(left.values()) and not model._dispatcher._waiters:
            return
        if time.perf_counter() > end:
            report.wrong.append(f"left when all is done: {left}, {model._dispatcher._waiters}")
            return
        time.sleep(0.01)


def main() -> None:
    """Run it, and print what happened as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("seconds", type=float, nargs="?", default=600.0)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--growth", type=float, default=8.0, help="MiB allowed once warm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = soak(options.seconds, options.users, options.cases, Path(folder), options.seed)
    every = max(len(report.memory) // 20, 1)
    memory = [[round(t), round(n / 2**20, 1)] for t, n in report.memory[::every]]
    growth = report.growth / 2**20
    if growth > options.growth:
        report.wrong.append(f"memory grew by {growth:.1f} MiB once it was warm")
    print(
        json.dumps(
            {
                "ends": report.ends,
                "resident_mib": memory,
                "growth_mib": round(growth, 1),
                "wrong": report.wrong[:10],
            }
        )
    )
    sys.exit(bool(report.wrong))


if __name__ == "__main__":
    main()
