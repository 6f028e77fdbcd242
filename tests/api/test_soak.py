"""Some seconds of `tests/soak.py`."""

from __future__ import annotations

from pathlib import Path

from soak import soak

ENDS = ["length", "stop", "cancelled", "timeout", "refused", "failed", "embedded", "task cancelled"]


def test_many_requests_of_all_kinds(folder: Path) -> None:
    least = dict.fromkeys(ENDS, 1) | {"length": 20}
    report = soak(6, 60, 40, folder, seed=3, least=least)
    assert report.wrong == []
