"""The measurements of `farthing bench`."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from farthing import _native


@dataclass(frozen=True)
class Case:
    """What one row measures: prompts of `n_prompt` tokens, or `n_gen` tokens generated."""

    n_prompt: int
    n_gen: int
    n_depth: int
    n_parallel: int

    @property
    def n_tokens(self) -> int:
        """Tokens of one repetition."""
        return (self.n_prompt + self.n_gen) * self.n_parallel

    @property
    def n_ctx(self) -> int:
        """The context that one sequence needs, with the token that starts the generation."""
        return self.n_depth + self.n_prompt + self.n_gen + 2


class Bench:
    """A model loaded for some cases."""

    def __init__(
        self,
        path: Path,
        cases: Sequence[Case],
        n_threads: int | None,
        kv_type: str,
        repack: bool | None,
    ) -> None:
        self._gguf = _native.Gguf(path)
        self._engine = _native.Engine(
            self._gguf,
            n_ctx=max(case.n_ctx for case in cases),
            n_threads=n_threads,
            kv_type=kv_type,
            max_sequences=max(case.n_parallel for case in cases),
            repack=repack,
            # Greedy text of random prompts falls into loops, which would be guessed.
            n_draft_max=0,
        )
        self._random = random.Random(0)
        self._n_vocab = self._engine.info["n_vocab"]

    def close(self) -> None:
        """Free the model."""
        self._engine.close()

    def rows(
        self, cases: Sequence[Case], repetitions: int, *, profile: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The rows, as they are measured; `profile` adds where the time of one repetition went."""
        about = self._about()
        depths: dict[int, list[list[int]]] = {}
        for case in cases:
            started = datetime.now(timezone.utc)
            # The same for all cases of a depth, so that what is kept of them is used again.
            known = depths.setdefault(case.n_depth, [])
            known += [self._tokens(case.n_depth) for _ in range(case.n_parallel - len(known))]
            contexts = known[: case.n_parallel]
            # Weights are rearranged when they are used for the second time.
            for _ in range(2):
                self._seconds(case, contexts)
            samples = [self._seconds(case, contexts) for _ in range(repetitions)]
            row = about | _row(case, started, samples)
            if profile:
                row["profile"] = self._profile(case, contexts)
            yield row

    def _seconds(self, case: Case, contexts: Sequence[list[int]]) -> float:
        """One repetition: the time from which its tokens a second follow."""
        ends = self._run(self._prompts(case, contexts), max_tokens=case.n_gen + 1)
        if case.n_gen:
            return max(end.predicted_ms for end in ends) / 1e3
        computed = sum(end.prompt_n for end in ends)
        seconds = max(end.queue_ms + end.prompt_ms for end in ends) / 1e3
        return seconds * case.n_tokens / computed

    def _profile(self, case: Case, contexts: Sequence[list[int]]) -> dict[str, Any]:
        """One repetition by parts; a token generated is one more than a repetition counts."""
        prompts = self._prompts(case, contexts)
        self._engine.start_profile()
        self._run(prompts, max_tokens=case.n_gen + 1)
        return self._engine.stop_profile()

    def _prompts(self, case: Case, contexts: Sequence[list[int]]) -> list[list[int]]:
        """New prompts after the contexts, which are computed already."""
        prompts = [context + self._tokens(max(case.n_prompt, 1)) for context in contexts]
        if case.n_depth:
            self._run(contexts, max_tokens=0)
        return prompts

    def _run(self, prompts: Sequence[list[int]], *, max_tokens: int) -> list[_native.Finished]:
        params = {"max_tokens": max_tokens, "temperature": 0.0, "ignore_eos": True}
        requests = [self._engine.submit(prompt, params) for prompt in prompts]
        return [_end(request) for request in requests]

    def _tokens(self, count: int) -> list[int]:
        return [self._random.randrange(self._n_vocab) for _ in range(count)]

    def _about(self) -> dict[str, Any]:
        """The fields that all rows have in common."""
        metadata, tensors, info = self._gguf.metadata, self._gguf.tensors, self._engine.info
        sizes: Counter[str] = Counter()
        for tensor in tensors:
            sizes[tensor["type"]] += tensor["n_bytes"]
        [(main_type, _)] = sizes.most_common(1)
        return {
            "cpu_info": _native.cpu_info()["level"],
            "backends": "CPU",
            "model_filename": self._gguf.parts[0],
            "model_type": f"{metadata.get('general.architecture')} {main_type}",
            "model_size": sizes.total(),
            "model_n_params": sum(math.prod(tensor["shape"]) for tensor in tensors),
            "n_batch": info["n_batch"],
            "n_threads": info["n_threads"],
            "type_k": info["kv_type"],
            "type_v": info["kv_type"],
        }


def _row(case: Case, started: datetime, seconds: Sequence[float]) -> dict[str, Any]:
    nanoseconds = [round(sample * 1e9) for sample in seconds]
    rates = [case.n_tokens / sample for sample in seconds]
    return {
        "n_prompt": case.n_prompt,
        "n_gen": case.n_gen,
        "n_depth": case.n_depth,
        "n_parallel": case.n_parallel,
        "test_time": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "avg_ns": round(statistics.mean(nanoseconds)),
        "stddev_ns": _deviation(nanoseconds),
        "avg_ts": statistics.mean(rates),
        "stddev_ts": _deviation(rates),
        "samples_ns": nanoseconds,
        "samples_ts": rates,
    }


def _deviation(samples: Sequence[float]) -> float:
    return statistics.stdev(samples) if len(samples) > 1 else 0.0


def _end(request: _native.Request) -> _native.Finished:
    while True:
        for output in request.take():
            if isinstance(output, _native.Finished):
                return output
