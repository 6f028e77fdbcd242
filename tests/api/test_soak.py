"""Some seconds of `tests/soak.py`."""

from __future__ import annotations

from pathlib import Path

from soak import soak


def test_many_requests_of_all_kinds(folder: Path) -> None:
    report = soak(6, 60, 40, folder, seed=3)
    assert report.wrong == []
    assert report.ends["length"] > 20
    ended = {"length", "stop", "cancelled", "timeout", "refused", "failed", "embedded"}
    assert set(report.ends) >= ended | {"task cancelled"}
