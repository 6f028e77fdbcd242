"""`farthing show`, `tokenize`, `bench` and the command line as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shell import Farthing

from farthing.cli import COMMANDS
from models import ID, PIECES, Tiny


def test_help_lists_the_commands(farthing: Farthing) -> None:
    done = farthing("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    for name in COMMANDS:
        assert farthing(name, "--help").returncode == 0


def test_show(farthing: Farthing, story: Path) -> None:
    facts = json.loads(farthing("show", story, "--json", "--tensors").stdout)
    assert facts["architecture"] == "llama"
    assert facts["types"] == {"F32": 21}
    assert facts["weights_bytes"] == 4 * facts["n_parameters"]
    # 2 layers, keys and values, 2 heads of 16, 2 bytes, for the 512 tokens of the file.
    assert facts["kv_bytes"] == 2 * 2 * 2 * 16 * 2 * 512
    assert facts["memory_bytes"] == facts["weights_bytes"] + facts["kv_bytes"]
    assert facts["metadata"]["tokenizer.ggml.tokens"]["length"] == len(PIECES)
    assert {"name": "output.weight", "type": "F32", "shape": [64, len(PIECES)]}.items() <= next(
        tensor for tensor in facts["tensors"] if tensor["name"] == "output.weight"
    ).items()
    for kv_type, bits in {
        "f32": 32,
        "bf16": 16,
        "q8_0": 8 * (16 + 2) / 16,
        "q4_0": 8 * 18 / 16,
    }.items():
        other = json.loads(farthing("show", story, "--json", "-ctk", kv_type).stdout)
        assert other["kv_bytes"] == facts["kv_bytes"] / 16 * bits
    half = json.loads(farthing("show", story, "--json", "-c", "256").stdout)
    assert half["kv_bytes"] == facts["kv_bytes"] / 2
    assert "tensors" not in half


def test_show_for_people(farthing: Farthing, story: Path) -> None:
    lines = farthing("show", story, "--tensors").stdout.splitlines()
    assert any(line.split() == ["architecture", "llama"] for line in lines)
    assert any("output.weight" in line and "F32" in line for line in lines)
    assert any("tokenizer.ggml.tokens" in line and "more" in line for line in lines)


def test_show_cpu(farthing: Farthing) -> None:
    facts = json.loads(farthing("show", "--cpu", "--json").stdout)["cpu"]
    assert facts["level"] in facts["levels"]
    assert facts["n_threads"] >= 1
    assert "level" in farthing("show", "--cpu").stdout
    assert farthing("show").returncode == 2


def test_show_cpu_at_a_lower_level(environment: dict[str, str]) -> None:
    def show(level: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "farthing", "show", "--cpu", "--json"],
            capture_output=True,
            text=True,
            env=environment | {"FARTHING_ISA": level, "FARTHING_THREADS": "7"},
        )

    facts = json.loads(show("portable").stdout)["cpu"]
    assert facts["level"] == "portable"
    assert facts["n_threads"] == 7
    assert "FARTHING_THREADS" in facts["n_threads_reason"]
    refused = subprocess.run(
        [sys.executable, "-m", "farthing", "show", "--cpu"],
        capture_output=True,
        text=True,
        env=environment | {"FARTHING_THREADS": "many"},
    )
    assert refused.returncode == 1
    assert 'FARTHING_THREADS is "many"' in refused.stderr
    refused = show("abacus")
    assert refused.returncode == 1
    assert "FARTHING_ISA=abacus" in refused.stderr


def test_show_what_cannot_run(farthing: Farthing, tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "odd.gguf", "oddity")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    facts = json.loads(farthing("show", tmp_path / "odd.gguf", "--json").stdout)
    assert "oddity" in facts["cannot_run"]


def test_tokenize(farthing: Farthing, story: Path) -> None:
    ids = [ID["<s>"], ID["▁Once"], ID["▁upon"]]
    done = farthing("tokenize", story, "Once upon", "--json")
    assert json.loads(done.stdout) == {"ids": ids, "pieces": ["<s>", "▁Once", "▁upon"]}
    lines = farthing("tokenize", story, stdin="Once upon").stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == ids
    plain = json.loads(farthing("tokenize", story, "</s>", "--json", "--no-add-special").stdout)
    special = farthing("tokenize", story, "</s>", "--json", "--no-add-special", "--parse-special")
    assert ID["</s>"] not in plain["ids"]
    assert ID["</s>"] in json.loads(special.stdout)["ids"]


def test_tokenize_without_a_vocabulary(farthing: Farthing, tmp_path: Path) -> None:
    path = Tiny(vocabulary=False).write(tmp_path / "ids.gguf")
    done = farthing("tokenize", path, "x")
    assert done.returncode == 1
    assert "no vocabulary" in done.stderr


def test_bench_rows(farthing: Farthing, story: Path) -> None:
    words = ["-p", "32,0", "-n", "8", "-d", "0,64", "-b", "1,3", "-t", "1", "-r", "2", "-o", "json"]
    done = farthing("bench", story, *words)
    assert done.stderr == ""
    rows = json.loads(done.stdout)
    cases = [(row["n_prompt"], row["n_gen"], row["n_depth"], row["n_parallel"]) for row in rows]
    assert cases == [
        (prompt, generated, depth, parallel)
        for depth in (0, 64)
        for parallel in (1, 3)
        for prompt, generated in ((32, 0), (0, 8))
    ]
    for row in rows:
        assert row["n_threads"] == 1
        assert row["avg_ts"] > 0
        assert len(row["samples_ns"]) == len(row["samples_ts"]) == 2
        tokens = (row["n_prompt"] + row["n_gen"]) * row["n_parallel"]
        assert row["samples_ts"][0] == pytest.approx(tokens / row["samples_ns"][0] * 1e9, 1e-3)


def test_bench_table(farthing: Farthing, story: Path) -> None:
    lines = farthing(*f"bench {story} -p 8 -n 4 -d 16 -r 1".split()).stdout.splitlines()
    assert [line.split("|")[6].strip() for line in lines] == [
        "test",
        "-" * 9,
        "pp8 @ d16",
        "tg4 @ d16",
    ]


def test_bench_by_part(farthing: Farthing, story: Path) -> None:
    words = ["-p", "32", "-n", "8", "-t", "2", "-r", "1", "--profile"]
    rows = json.loads(farthing("bench", story, *words, "-o", "json").stdout)
    prompt, generated = (row["profile"] for row in rows)
    assert (prompt["passes"], prompt["tokens"]) == (1, 32)
    assert (generated["passes"], generated["tokens"]) == (9, 9)
    for profile in (prompt, generated):
        parts = {part["name"]: part for part in profile["parts"]}
        assert {"embedding", "norms", "rope", "attention", "ffn products", "sampling"} <= set(parts)
        assert all(0 <= part["alone_ms"] <= part["ms"] for part in parts.values())
        assert all(0 <= part["waiting_ms"] <= part["ms"] for part in parts.values())
    assert "sampling" in farthing("bench", story, *words).stdout
    assert (
        "profile" not in json.loads(farthing("bench", story, *words[:-1], "-o", "json").stdout)[0]
    )


def test_bench_of_nothing(farthing: Farthing, story: Path) -> None:
    assert farthing("bench", story, "-p", 0, "-n", 0).returncode == 2
    assert farthing("bench", story, "-p", "x").returncode == 2


def test_bench_of_the_machine(farthing: Farthing) -> None:
    rows = json.loads(farthing("bench", "--machine", "-t", "1,2", "-o", "json").stdout)
    assert [row["n_threads"] for row in rows] == [1, 2]
    for row in rows:
        # Of a machine with other work and of any other.
        assert 1e6 < row["read_bytes_per_second"] < 1e14
        assert 1e6 < row["int8_ops_per_second"] < 1e16
    assert "GB/s" in farthing("bench", "--machine", "-t", "1").stdout
    assert farthing("bench").returncode == 2
