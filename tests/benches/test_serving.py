"""The workloads of servers: Farthing's, and a server that is made up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WHERE = Path(__file__).parents[2] / "benches"

FAKE = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(json.dumps({"data": [{"meta": {"n_vocab": 300}}]}))

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["ignore_eos"] and len(asked["prompt"]) < 400
        n = asked["n_predict"] - LACKING
        events = [{"tokens": [7], "stop": False}] * n + [{"tokens": [], "stop": True}]
        self.reply("".join(f"data: {json.dumps(event)}\\n\\n" for event in events))

    def reply(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *words):
        pass

assert sys.argv[sys.argv.index("-c") + 1] == str(int(sys.argv[sys.argv.index("-np") + 1]) * 512)
port = int(sys.argv[sys.argv.index("--port") + 1])
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def server(folder: Path, text: str) -> Path:
    path = folder / "llama-server"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o700)
    return path


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, WHERE / "serving", *map(str, words), "--threads", "1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("program", ["farthing", "llama-server"])
def test_streams(story: Path, tmp_path: Path, program: str) -> None:
    fake = server(tmp_path, FAKE.replace("LACKING", "0"))
    sizes = ["--counts", "1", "3", "--prompt", "300", "--gen", "12"]
    done = run("streams", program, story, *sizes, "--server", fake)
    assert done.returncode == 0, done.stderr
    rates = json.loads(done.stdout)
    assert list(rates) == ["tg12 x 1", "tg12 x 3"]
    assert all(rate > 0 for rate in rates.values())


@pytest.mark.parametrize("program", ["farthing", "llama-server"])
def test_agents(story: Path, tmp_path: Path, program: str) -> None:
    fake = server(tmp_path, FAKE.replace("LACKING", "0"))
    sizes = ["--agents", 2, "--turns", 3, "--first", 100, "--longest", 300, "--gen", 8]
    done = run("agents", program, story, *sizes, "--server", fake)
    assert done.returncode == 0, done.stderr
    waits = json.loads(done.stdout)
    name = "2 agents, 3 turns to 300"
    assert 0 < waits[f"{name}: first tokens"] <= waits[f"{name}: whole answers"]


def test_what_goes_wrong_is_said(story: Path, tmp_path: Path) -> None:
    short = server(tmp_path, FAKE.replace("LACKING", "1"))
    words = ["streams", "llama-server", story, "--counts", 1, "--prompt", 300, "--gen", 12]
    done = run(*words, "--server", short)
    assert "an answer has 11 tokens, not 12" in done.stderr
    broken = server(tmp_path, "import sys; sys.exit('no such flag')")
    done = run(*words, "--server", broken)
    assert "did not start: no such flag" in done.stderr


def test_the_comparison_runs_both(story: Path, tmp_path: Path) -> None:
    fake = server(tmp_path, FAKE.replace("LACKING", "0").replace("assert sys", "# "))
    bench = tmp_path / "bench"
    bench.write_text(f"#!{sys.executable}\n")
    bench.chmod(0o700)
    sizes = ["--sequences", "2", "--gen", "8", "--agents", "2", "--turns", "2", "--longest", "200"]
    paths = [f"--llama-server={fake}", f"--llama-bench={bench}", f"--json={tmp_path}/out"]
    words = ["--rows", "streams,agents", "--rounds", "1", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, WHERE / "peers", story, *words, *sizes, *paths],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out").read_text())
    name = "2 agents, 2 turns to 200"
    tests = ["tg8 x 2", f"{name}: first tokens", f"{name}: whole answers"]
    assert [row["test"] for row in report["rows"]] == tests
    assert set(report["rows"][0]["rounds"][0]) == {"farthing", "defaults", "--no-repack"}
    assert report["rows"][1]["less_is_better"]
