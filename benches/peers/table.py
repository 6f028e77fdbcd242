"""Rounds of measurements as ratios with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from programs import FARTHING

Round = dict[str, float]
"""Program with its settings -> value."""


@dataclass
class Row:
    """A test of a file, in rounds."""

    file: str
    test: str
    unit: str
    less_is_better: bool
    rounds: list[Round] = field(default_factory=list)
    limits: list[float | None] = field(default_factory=list)
    """Of each round: the share of the limit that Farthing's value is."""

    def best(self, round: Round) -> tuple[str, float]:
        """The better of the other program's settings."""
        others = [(value, name) for name, value in round.items() if name != FARTHING]
        value, name = min(others) if self.less_is_better else max(others)
        return name, value

    def ratios(self) -> list[float]:
        """Farthing's values to the other program's best of the same round."""
        return [round[FARTHING] / self.best(round)[1] for round in self.rounds]

    def as_json(self) -> dict[str, Any]:
        """All of it, and the ratios."""
        return {
            "file": self.file,
            "test": self.test,
            "unit": self.unit,
            "less_is_better": self.less_is_better,
            "ratios": self.ratios(),
            "rounds": self.rounds,
            "limits": self.limits,
        }


def worse(values: Sequence[float], best: Sequence[float], less_is_better: bool) -> bool:
    """Whether every value is a fifth or more behind the best of its test."""
    pairs = zip(values, best, strict=True)
    return all((b < 0.8 * v) if less_is_better else (v < 0.8 * b) for v, b in pairs)


TITLES = (
    "file",
    "test",
    "Farthing",
    "llama.cpp",
    "its best setting",
    "ratio (least to greatest)",
    "of the limit",
)


def markdown(rows: Sequence[Row]) -> str:
    """Medians of the rounds."""
    lines = [TITLES, tuple("---:" if 2 <= i < 4 else "---" for i in range(len(TITLES)))]
    lines += [_cells(row) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    best = [row.best(round) for round in row.rounds]
    ours = statistics.median(round[FARTHING] for round in row.rounds)
    theirs = statistics.median(value for _, value in best)
    limits = [limit for limit in row.limits if limit is not None]
    digits = 2 if row.unit == "s" else 1
    return (
        row.file,
        row.test,
        f"{ours:.{digits}f} {row.unit}",
        f"{theirs:.{digits}f} {row.unit}",
        statistics.mode(name for name, _ in best),
        spread(row.ratios()),
        f"{statistics.median(limits):.2f}" if limits else "",
    )


def spread(ratios: Sequence[float]) -> str:
    """The median, and in brackets the ends."""
    middle = f"{statistics.median(ratios):.2f}"
    if len(ratios) == 1:
        return middle
    return f"{middle} ({min(ratios):.2f} to {max(ratios):.2f})"
