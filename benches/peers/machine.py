"""The machine: its limits at the moment, and what it is."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from child import run
from programs import Programs


@dataclass(frozen=True)
class Limits:
    """What the machine gave, when it was measured."""

    read_bytes_per_second: float
    int8_ops_per_second: float


def measure(programs: Programs) -> Limits:
    """Ask `farthing bench --machine`, with the threads that are compared."""
    words = ["bench", "--machine", "-t", str(programs.threads), "-o", "json"]
    [row] = json.loads(run([*programs.farthing, *words], programs.environment).output)
    return Limits(row["read_bytes_per_second"], row["int8_ops_per_second"])


def describe() -> dict[str, object]:
    """The CPU and the system."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    lines = [line.partition(":") for line in info.splitlines()]
    models = {value.strip() for key, _, value in lines if key.strip() == "model name"}
    return {
        "cpu": ", ".join(sorted(models)) or platform.processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "load": os.getloadavg()[0],
    }
