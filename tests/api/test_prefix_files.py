"""Prompts computed by one process and taken up by another, from files."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from idle import PATIENCE

from farthing import Completion, Model, RequestError
from models import ID, Shape, Tiny

PROMPT = [ID["x"]] * 300 + [ID["▁Once"]]


def answer(model: Model, prompt: list[int] = PROMPT) -> Completion:
    return model.generate(prompt, temperature=0, max_tokens=4)


def cached(completion: Completion) -> int:
    return completion.usage.prompt_tokens_details.cached_tokens


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_model_loaded_again_goes_on(story_path: Path, tmp_path: Path) -> None:
    with Model(story_path, prefix_cache_dir=tmp_path / "a" / "b") as model:
        first = answer(model)
    assert cached(first) == 0
    assert len(files(tmp_path)) == 4
    with Model(story_path, prefix_cache_dir=str(tmp_path / "a" / "b")) as model:
        second = answer(model)
        assert (cached(second), second.timings.prompt_n) == (256, 45)
        assert second.tokens == first.tokens
        assert cached(answer(model, PROMPT[:100])) == 99


def test_other_files_and_settings_do_not_share(story_path: Path, tmp_path: Path) -> None:
    other = Tiny(Shape(hidden=64)).write(tmp_path / "other.gguf")
    for path, kv_type in [(story_path, "f16"), (story_path, "f32"), (other, "f16")]:
        with Model(path, kv_type=kv_type, prefix_cache_dir=tmp_path / "files") as model:
            assert cached(answer(model)) == 0
    assert len(list((tmp_path / "files").iterdir())) == 3


def test_the_same_model_elsewhere_shares(story_path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(story_path.read_bytes())
    for path, expected in [(story_path, 0), (copy, 256)]:
        with Model(path, prefix_cache_dir=tmp_path / "files") as model:
            assert cached(answer(model)) == expected


def test_damaged_files_are_logged(
    story_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Model(story_path, prefix_cache_dir=tmp_path) as model:
        expected = answer(model).tokens
    for path in files(tmp_path):
        path.write_bytes(path.read_bytes()[:-1])
    with (
        caplog.at_level(logging.WARNING, "farthing"),
        Model(story_path, prefix_cache_dir=tmp_path) as model,
    ):
        again = answer(model)
    assert (cached(again), again.tokens) == (0, expected)
    assert "is ignored: it has" in caplog.text


def test_a_folder_that_cannot_be_written_is_logged(
    story_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "file"
    folder.touch()
    with (
        caplog.at_level(logging.WARNING, "farthing"),
        Model(story_path, prefix_cache_dir=folder) as model,
    ):
        assert cached(answer(model)) == 0
        assert cached(answer(model)) == 300
    assert "prefix cache: cannot write to" in caplog.text


def test_killed_while_writing(story_path: Path, tmp_path: Path) -> None:
    script = f"""
from farthing import Model
model = Model({str(story_path)!r}, prefix_cache_dir={str(tmp_path)!r})
for token in range(3, 300):
    model.generate([token % 40 + 3, *[{ID["x"]}] * 300], max_tokens=1)
    print(flush=True)
"""
    for moment in range(3):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.01 * moment)
            os.kill(process.pid, signal.SIGKILL)
    with Model(story_path, prefix_cache_dir=tmp_path) as model:
        prompt = [6, *[ID["x"]] * 300]
        assert answer(model, prompt).tokens == answer(model, prompt).tokens
        answer(model)
    with Model(story_path, prefix_cache_dir=tmp_path) as model:
        assert cached(answer(model)) == 256


def test_bad_arguments_are_named(story_path: Path) -> None:
    with pytest.raises(RequestError, match="prefix_cache_disk_bytes is -1"):
        Model(story_path, prefix_cache_disk_bytes=-1)
    with pytest.raises(RequestError, match="prefix_cache_bytes is -1"):
        Model(story_path, prefix_cache_bytes=-1)


def test_a_full_disk_loses_nothing(story_path: Path, tmp_path: Path) -> None:
    """Writing fails in the middle of a file."""
    script = f"""
import logging, resource
from farthing import Model
logging.basicConfig(level=logging.WARNING, format="%(message)s")
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
with Model({str(story_path)!r}, prefix_cache_dir={str(tmp_path)!r}) as model:
    for _ in range(2):
        result = model.generate({PROMPT}, temperature=0, max_tokens=4)
        print(result.tokens, result.usage.prompt_tokens_details.cached_tokens)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    with Model(story_path, prefix_cache_dir=tmp_path) as model:
        expected = answer(model)
    assert cached(expected) == 0
    assert run.stdout.split("\n")[:2] == [f"{expected.tokens} {n}" for n in (0, 300)]
    assert "prefix cache: cannot write to" in run.stderr
    assert len(files(tmp_path)) == 4, "nothing was left half written"


def test_processes_share_a_folder(story_path: Path, tmp_path: Path) -> None:
    script = f"""
from farthing import Model
with Model({str(story_path)!r}, prefix_cache_dir={str(tmp_path)!r},
           prefix_cache_disk_bytes=300_000) as model:
    print(flush=True)
    input()
    for turn in range(30):
        prompt = [turn % 7 + 10, *[{ID["x"]}] * 300]
        print(model.generate(prompt, temperature=0, max_tokens=3).tokens)
"""
    start = [sys.executable, "-W", "error", "-c", script]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(start, text=True, **pipes)) for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        results = [process.communicate("\n", timeout=PATIENCE) for process in processes]
    with Model(story_path) as model:
        alone = [answer_to(model, turn % 7 + 10) for turn in range(30)]
    for output, errors in results:
        assert output.split("\n")[:-1] == alone
        assert errors == ""
    sizes = [path.stat().st_size for path in files(tmp_path)]
    assert 100_000 < sum(sizes) <= 340_000


def answer_to(model: Model, first: int) -> str:
    prompt = [first, *[ID["x"]] * 300]
    return str(model.generate(prompt, temperature=0, max_tokens=3).tokens)


def test_files_of_others_are_named(
    story_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Model(story_path, kv_type="f32", prefix_cache_dir=tmp_path) as model:
        answer(model)
    [other] = tmp_path.iterdir()
    (tmp_path / "notes.txt").touch()
    caplog.set_level(logging.INFO, "farthing")
    for n_files in (0, 4):
        caplog.clear()
        with Model(story_path, prefix_cache_dir=tmp_path) as model:
            assert cached(answer(model)) == 64 * n_files
        assert f"{n_files} files of this model" in caplog.text
        assert f"{other} is ignored: it is of another model or version" in caplog.text
        assert "notes" not in caplog.text
