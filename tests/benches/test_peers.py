"""What the comparison with other programs computes: parsing, limits, ratios."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import child
import kinds
import machine
import model
import programs
import pytest
import table

FACTS = {
    "weights_bytes": 1000,
    "kv_bytes": 4096 * 10,
    "metadata": {
        "general.architecture": "llama",
        "llama.expert_count": 4,
        "llama.expert_used_count": 1,
    },
    "tensors": [
        {"name": "token_embd.weight", "shape": [10, 20], "n_bytes": 400},
        {"name": "blk.0.attn_norm.weight", "shape": [10], "n_bytes": 40},
        {"name": "blk.0.attn_q.weight", "shape": [10, 10], "n_bytes": 160},
        {"name": "blk.0.ffn_up_exps.weight", "shape": [10, 10, 4], "n_bytes": 400},
    ],
}


def test_what_a_token_reads_and_computes() -> None:
    found = model.from_facts(Path("x.gguf"), FACTS, 4096)
    assert found.position_bytes == 10
    assert found.sequence_bytes(5) == 1050
    # The embedding is the output, too; of four experts one is read.
    assert found.token_bytes == 400 + 40 + 160 + 100
    assert found.prompt_operations == 2 * (100 + 100)
    output = {"name": "output.weight", "shape": [10, 20], "n_bytes": 300}
    apart = FACTS | {"tensors": [*FACTS["tensors"], output]}
    found = model.from_facts(Path("x.gguf"), apart, 4096)
    assert found.token_bytes == 300 + 40 + 160 + 100
    assert found.prompt_operations == 2 * (100 + 100)


def test_shares_of_the_limits() -> None:
    about = model.Model(Path("x.gguf"), 1000, 700, 400, 10)
    limits = machine.Limits(read_bytes_per_second=10_000, int8_ops_per_second=8_000)
    assert kinds.share_of_speed(about, "pp512", 10, limits) == 0.5
    assert kinds.share_of_speed(about, "pp512 @ 4096", 10, limits) is None
    assert kinds.share_of_speed(about, "tg20", 10, limits) == 0.8
    assert kinds.share_of_speed(about, "tg20 @ 20", 10, limits) == 1.0
    assert kinds.share_of_speed(about, "tg20 x 8", 10, limits) is None
    mebibytes = 1.5 * (1000 + 10 * (20 + 5)) / 2**20
    test = "peak memory, 20 + 5 tokens"
    assert kinds.ratio_to_need(about, test, mebibytes, limits) == pytest.approx(1.5)


def test_rows_of_llama_bench() -> None:
    sizes = {"n_prompt": 0, "n_gen": 32, "n_depth": 4096, "avg_ts": 7.5}
    entries = [
        sizes | {"repack": True, "flash_attn": -1},
        sizes | {"repack": False, "flash_attn": 0, "n_prompt": 512, "n_depth": 0},
    ]
    assert programs.bench_rows(json.dumps(entries), programs.setting) == [
        ("tg32 @ 4096", "repacked", 7.5),
        ("pp512", "as is, no flash attention", 7.5),
    ]


def test_rows_of_llama_batched_bench() -> None:
    output = 'a log\n{"tg": 32, "pl": 1, "speed_tg": 5.0}\n{"tg": 32, "pl": 8, "speed_tg": 9.0}\n'
    assert programs.batched_rows(output, "as is") == [
        ("tg32 x 1", "as is", 5.0),
        ("tg32 x 8", "as is", 9.0),
    ]


def test_the_best_is_taken_in_each_round() -> None:
    rounds = [{"farthing": 4.0, "a": 2.0, "b": 1.0}, {"farthing": 6.0, "a": 3.0, "b": 6.0}]
    faster = table.Row("f", "t", "t/s", less_is_better=False, rounds=rounds, limits=[0.25, 0.75])
    assert faster.ratios() == [2.0, 1.0]
    smaller = table.Row("f", "t", "s", less_is_better=True, rounds=rounds, limits=[None, None])
    assert smaller.ratios() == [4.0, 2.0]
    lines = table.markdown([faster, smaller]).splitlines()
    assert lines[2] == "| f | t | 5.0 t/s | 4.0 t/s | a | 1.50 (1.00 to 2.00) | 0.50 |"
    assert lines[3].endswith("| 3.00 (2.00 to 4.00) |  |")
    assert table.spread([1.5]) == "1.50"


def test_what_is_far_behind_is_left_out() -> None:
    assert table.worse([7.0, 1.0], [10.0, 10.0], less_is_better=False)
    assert not table.worse([7.0, 9.0], [10.0, 10.0], less_is_better=False)
    assert table.worse([13.0], [10.0], less_is_better=True)
    assert not table.worse([12.0], [10.0], less_is_better=True)


def test_a_child_and_what_it_took() -> None:
    script = "import os; data = bytearray(64 << 20); print(len(data), os.environ['X'])"
    done = child.run([sys.executable, "-c", script], {"X": "y"})
    assert done.output.split() == [str(64 << 20), "y"]
    assert done.peak_bytes > 64 << 20
    assert 0 < done.seconds < 60


def test_a_child_that_fails() -> None:
    with pytest.raises(child.Failed, match="status 3.*sorry"):
        child.run(
            [sys.executable, "-c", "import sys; print('sorry', file=sys.stderr); sys.exit(3)"]
        )
    with pytest.raises(child.Failed, match="no-such-program: No such file"):
        child.run(["no-such-program"])


def test_the_cache_is_dropped_and_filled(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(10_000_000))
    kinds.keep(file)
    kinds.drop(file)
    assert file.stat().st_size == 10_000_000


FAKE = """
import json, sys
if "--version" in sys.argv:
    print("fake 1", file=sys.stderr)
else:
    row = {"n_prompt": 0, "n_gen": 32, "n_depth": 0, "avg_ts": 4.0, "flash_attn": -1}
    print(json.dumps([row | {"repack": sys.argv[sys.argv.index("--repack") + 1] == "1"}]))
"""


def test_a_whole_run(story: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    fake.write_text(f"#!{sys.executable}\n{FAKE}")
    fake.chmod(0o700)
    where = Path(__file__).parents[2] / "benches" / "peers"
    words = ["--rows", "decode,load", "--rounds", "1", "--threads", "1"]
    paths = [f"--llama-bench={fake}", f"--json={tmp_path}/out"]
    done = subprocess.run(
        [sys.executable, where, story, *words, *paths], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    tests = ["tg32", "first token, warm", "first token, cold"]
    table_lines = done.stdout.splitlines()[2:]
    assert [line.split(" | ")[1] for line in table_lines] == tests
    report = json.loads((tmp_path / "out").read_text())
    assert report["versions"]["llama.cpp"] == "fake 1"
    assert [row["test"] for row in report["rows"]] == tests
    assert [limit["int8_ops_per_second"] > 0 for limit in report["limits"]] == [True] * 2
    decode = report["rows"][0]
    assert decode["ratios"] == [round["farthing"] / 4.0 for round in decode["rounds"]]


def test_a_row_that_is_none(story: Path) -> None:
    where = Path(__file__).parents[2] / "benches" / "peers"
    done = subprocess.run(
        [sys.executable, where, story, "--rows", "speed"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'speed' is none of prefill, decode" in done.stderr
