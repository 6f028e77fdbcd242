"""`farthing convert`, and what the other commands say of files that it is for."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell import Farthing

from models import ROUND, Tiny
from old_files import Original, llama


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The beginning of a GGJT file."""
    path = tmp_path / "old model.bin"
    path.write_bytes(b"tjgg" + bytes(28))
    return path


@pytest.mark.parametrize("command", ["run", "show", "tokenize", "bench"])
def test_other_commands_name_it(farthing: Farthing, old: Path, command: str) -> None:
    done = farthing(command, old, *(["text"] if command in ("run", "tokenize") else []))
    assert done.returncode == 1
    assert done.stderr == (
        f"farthing: {old}: a GGJT file, which is older than GGUF; convert it first: "
        f"farthing convert '{old}' -o '{old.with_suffix('.gguf')}'\n"
    )


def test_convert(farthing: Farthing, tmp_path: Path) -> None:
    original = Original.read(Tiny(story=ROUND).write(tmp_path / "original.gguf"))
    source = llama(tmp_path / "old.bin", original, "GGMF", 1)
    target = tmp_path / "new.gguf"
    done = farthing("convert", source, "-o", target, "--context-length", 99, "--eps", "1e-5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {target}\n")
    assert "99" in farthing("show", target).stdout


def test_errors(farthing: Farthing, old: Path) -> None:
    done = farthing("convert", old, "-o", old.with_suffix(".gguf"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"farthing: {old}: at offset 4: GGJT version 0 is not known")
    assert "Traceback" not in done.stderr
    assert farthing("convert", old).returncode == 2
