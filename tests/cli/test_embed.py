"""`farthing embed`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from shell import Farthing

from bert_models import CONTEXT, WIDTH, TinyBert
from farthing import Model

TEXTS = ["the red fox ran", "a cat sat"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "bert.gguf"
    return TinyBert(pooling=gguf.PoolingType.CLS).write(path)


def test_json_as_in_openais_api(farthing: Farthing, bert: Path) -> None:
    answer = json.loads(farthing("embed", bert, *TEXTS).stdout)
    assert (answer["object"], answer["model"]) == ("list", str(bert))
    assert [(item["object"], item["index"]) for item in answer["data"]] == [
        ("embedding", 0),
        ("embedding", 1),
    ]
    with Model(bert) as model:
        expected = model.embed(TEXTS)
    assert np.array_equal([item["embedding"] for item in answer["data"]], expected)


def test_lines_of_stdin(farthing: Farthing, bert: Path) -> None:
    done = farthing("embed", bert, "-o", "jsonl", stdin="the red fox ran\n\n  \na cat sat")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert np.shape(rows) == (2, WIDTH)
    again = farthing("embed", bert, "-o", "jsonl", *TEXTS).stdout
    assert again == done.stdout
    assert farthing("embed", bert, "-o", "jsonl", stdin="").stdout == ""


def test_options(farthing: Farthing, bert: Path, tmp_path: Path) -> None:
    def rows(*words: str) -> list[list[float]]:
        return [json.loads(line) for line in run(*words).splitlines()]

    def run(*words: str) -> str:
        return farthing("embed", bert, "-o", "jsonl", *TEXTS, *words).stdout

    plain = np.array(rows("--no-normalize", "--pooling", "mean"))
    tokens = rows("--pooling", "none")
    assert [len(text) for text in tokens] == [6, 5]
    np.testing.assert_allclose(plain, [np.mean(text, axis=0) for text in tokens], atol=1e-5)
    unit = np.array(rows("--pooling", "mean"))
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1)[:, None], atol=1e-6)
    path = tmp_path / "vectors.npy"
    assert farthing("embed", bert, *TEXTS, "-o", "npy", "--output", path).stdout == ""
    assert np.array_equal(np.load(path), rows())
    path = tmp_path / "vectors.json"
    farthing("embed", bert, *TEXTS, "--output", path)
    assert len(json.loads(path.read_text(encoding="utf-8"))["data"]) == 2


def test_a_pipe_of_numpys_format(environment: dict[str, str], bert: Path) -> None:
    command = [sys.executable, "-m", "farthing", "embed", str(bert), *TEXTS, "-o", "npy"]
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert done.stdout.startswith(b"\x93NUMPY")


def test_errors(farthing: Farthing, bert: Path) -> None:
    assert farthing("embed", bert, "a", "--pooling", "best").returncode == 2
    assert farthing("embed", bert, "a", "-o", "xml").returncode == 2
    assert farthing("embed", bert, "a", "-o", "npy", "--pooling", "none").returncode == 2
    done = farthing("embed", bert, "cat " * CONTEXT)
    assert done.returncode == 1
    assert f"texts[0] has {CONTEXT + 2} tokens; the context has room for {CONTEXT}" in done.stderr
    assert farthing("embed", bert, "cat " * CONTEXT, "--truncate").returncode == 0
    done = farthing("embed", bert, "a", "--pooling", "rank")
    assert done.returncode == 1
    assert "no classifier" in done.stderr
    done = farthing("run", bert, "a", "--raw")
    assert done.returncode == 1
    assert "encoder" in done.stderr
