"""Fewer CPUs than threads, by affinity and by a control group's quota: slower, but no collapse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from idle import DECODE

WORTH = 0.6
"""Two threads on what one could use are at least so much of one thread's speed. Without care it is
a tenth and less: each waits for the other, which does not run."""

ROUNDS = 8
"""The machine has other work too: one round in which the two are measured fairly is enough."""

SPEEDS = """
import json, os, sys, time
{limit}
import farthing, logging
from farthing import _native
logging.basicConfig(level=logging.INFO, stream=sys.stderr)

def speed(n_threads):
    with farthing.Model({model!r}, n_threads=n_threads, n_ctx=1024) as model:
        model.generate({prompt}, max_tokens=8)
        start = time.perf_counter()
        model.generate({prompt}, max_tokens=100)
        return 100 / (time.perf_counter() - start)

ratios = []
while len(ratios) < {rounds} and max(ratios, default=0) < {worth}:
    one, two = speed(1), speed(2)
    ratios.append(two / one)
print(json.dumps(dict(_native.cpu_info(), ratios=ratios)))
"""


def measure(model: Path, limit: str) -> dict[str, Any]:
    """What a process sees of the CPU that limits itself first, and the ratios of its speeds."""
    code = SPEEDS.format(limit=limit, model=str(model), prompt=DECODE, rounds=ROUNDS, worth=WORTH)
    environment = {k: v for k, v in os.environ.items() if k != "FARTHING_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert "INFO:farthing:2 threads: n_threads" in done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_two_threads_on_one_cpu(slow_path: Path) -> None:
    seen = measure(slow_path, f"os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}])")
    assert seen["n_threads"] == 1
    assert "1 CPUs allowed" in seen["n_threads_reason"]
    assert max(seen["ratios"]) >= WORTH, seen["ratios"]


def _group(folder: str, files: dict[str, str]) -> Path | None:
    """A new control group with these contents of its files; none where that cannot be."""
    group = Path(folder) / f"farthing-test-{os.getpid()}"
    # Only in a control group's folder do new folders have files.
    if not (Path(folder) / "cgroup.procs").exists():
        return None
    try:
        group.mkdir()
        for name, text in files.items():
            (group / name).write_text(text)
    except OSError:
        if group.is_dir():
            group.rmdir()
        return None
    return group


@pytest.fixture
def half_a_cpu() -> Iterator[Path]:
    """A control group whose processes get half the time of one CPU."""
    group = _group("/sys/fs/cgroup", {"cpu.max": "50000 100000"}) or _group(
        "/sys/fs/cgroup/cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    )
    if group is None:
        pytest.skip("needs the right to make a control group with a CPU quota")
    yield group
    group.rmdir()


def test_two_threads_with_half_a_cpu(slow_path: Path, half_a_cpu: Path) -> None:
    join = f"open({str(half_a_cpu / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
    seen = measure(slow_path, join)
    assert seen["n_threads"] == 1
    assert "a quota of 0.50 CPUs" in seen["n_threads_reason"]
    assert max(seen["ratios"]) >= WORTH, seen["ratios"]
