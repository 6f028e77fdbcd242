"""Programs run to their end, with what they took."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True)
class Done:
    """What a program left behind."""

    output: str
    errors: str
    """What it said on stderr."""
    seconds: float
    """From before it was started until it was gone."""
    peak_bytes: int
    """The most memory that it had in RAM at once, mapped files included."""


class Failed(Exception):
    """A program that could not be started or did not succeed."""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Done:
    """Run a program with some more environment variables."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from error
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said = _text(errors)
        if process.returncode != 0:
            last = said.strip().splitlines()[-3:]
            reason = " / ".join([f"status {process.returncode}", *last])
            raise Failed(f"{' '.join(command)}: {reason}")
        return Done(_text(output), said, seconds, usage.ru_maxrss * 1024)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
