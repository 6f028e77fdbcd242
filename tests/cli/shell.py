"""Commands run to their end, within the test's process."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from farthing.cli import main


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


Farthing = Callable[..., Done]


def command(monkeypatch: pytest.MonkeyPatch) -> Farthing:
    """`run("show", path, stdin="...")`."""

    def run(*words: object, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with (
            redirect_stdout(io.StringIO()) as out,
            redirect_stderr(io.StringIO()) as err,
            pytest.raises(SystemExit) as end,
        ):
            main([str(word) for word in words])
        status = end.value.code
        assert isinstance(status, int)
        return Done(status, out.getvalue(), err.getvalue())

    return run
