"""`farthing run` with a prompt."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shell import Farthing

from adapters import random_pairs, write_adapter
from farthing.api.sampling import NAMES
from models import STORY_TEXT

REST = STORY_TEXT.removeprefix(" Once upon")


def test_a_prompt_is_answered_by_the_chat_template(farthing: Farthing, story: Path) -> None:
    done = farthing("run", story, "Well?", "--temp", 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, STORY_TEXT + "\n", "")


def test_raw_continues_the_text(farthing: Farthing, story: Path) -> None:
    assert farthing("run", story, "Once upon", "--raw", "--temp", 0).stdout == REST + "\n"


def test_the_prompt_may_be_piped(farthing: Farthing, story: Path) -> None:
    done = farthing("run", story, "--raw", "--temp", 0, stdin="Once upon")
    assert (done.returncode, done.stdout) == (0, REST + "\n")


def test_sampling_flags(farthing: Farthing, story: Path) -> None:
    words = ["run", story, "Once upon", "--raw", "--temp", 0]
    assert farthing(*words, "-n", 2).stdout == " a time\n"
    assert farthing(*words, "--stop", "the", "-r", "zzz").stdout == " a time, \n"
    assert farthing(*words, "-l", "2-inf", "-n", 30, "--ignore-eos").stdout.startswith(REST)
    hot = [*words[:-2], "--temp", 50, "--top-k", 0, "--top-p", 1, "--min-p", 0, "-n", 20]
    once, again, other = (farthing(*hot, "--seed", seed).stdout for seed in (1, 1, 2))
    assert once == again != other


def test_samplers_by_name_and_by_letter(farthing: Farthing, story: Path) -> None:
    words = ["run", story, "Once upon", "--raw", "--temp", 50, "-n", 20, "-s", 1]
    assert farthing(*words, "--samplers", "top-k;temp", "--top-k", 1).stdout == REST + "\n"
    assert farthing(*words, "--sampler-seq", "kt", "--top-k", 1).stdout == REST + "\n"
    assert farthing(*words, "--sampler-seq", "t", "--top-k", 1).stdout != REST + "\n"
    wrong = farthing(*words, "--sampler-seq", "kq")
    assert wrong.returncode == 2
    assert "'q' is not one of e (penalties), d (dry)" in wrong.stderr


def test_breakers_may_be_escaped_or_none(farthing: Farthing, story: Path) -> None:
    words = ["run", story, "Once upon a time, Once upon", "--raw", "--temp", 0, "-n", 1]
    words += ["--dry-multiplier", 1000, "--dry-allowed-length", 1]
    breaker = "--dry-sequence-breaker"
    assert farthing(*words).stdout != " a\n"
    assert farthing(*words, breaker, "none").stdout != " a\n"
    assert farthing(*words, breaker, "upon").stdout == " a\n"
    assert farthing(*words, breaker, "zz", breaker, r"\"").stdout != " a\n"


BAD = {
    "--samplers": "q",
    "--dynatemp-range": "-1",
    "--dynatemp-exp": "-1",
    "--top-p": "3",
    "--min-p": "3",
    "--typical": "3",
    "--top-nsigma": "nan",
    "--xtc-probability": "3",
    "--xtc-threshold": "3",
    "--min-keep": "-1",
    "--repeat-last-n": "-2",
    "--repeat-penalty": "0",
    "--presence-penalty": "nan",
    "--frequency-penalty": "nan",
    "--dry-multiplier": "-1",
    "--dry-base": "0.5",
    "--dry-allowed-length": "-1",
    "--dry-penalty-last-n": "-2",
    "--mirostat": "3",
    "--mirostat-lr": "-1",
    "--mirostat-ent": "-1",
    "--adaptive-target": "2",
    "--adaptive-decay": "1",
    "--temp": "nan",
    "--top-k": "4000000000",
    "--seed": "-2",
    "--n-predict": "-2",
    "--logit-bias": "99999+1",
    "--keep": "-2",
    "--stop": "",
    "--dry-sequence-breaker": "",
    "--json-schema": "{",
    "--grammar": "root",
    "--lark": "start: x",
    "--regex": "(",
    "--choice": "",
}
"""Values that the library refuses, so that it must have got them."""

NAMED_OTHERWISE = {
    "--dynatemp-exp": "dynatemp_exponent",
    "--typical": "typical_p",
    "--top-nsigma": "top_n_sigma",
    "--mirostat-lr": "mirostat_eta",
    "--mirostat-ent": "mirostat_tau",
    "--temp": "temperature",
    "--n-predict": "max_tokens",
    "--choice": "choices",
    "--keep": "n_keep",
}


NEEDLESS = {
    "logprobs",
    "post_sampling_probs",
    "logits_processor",
    "priority",
    "timeout",
    "cache_prompt",
    "n_draft_max",
    "response_format",
}
"""Options without a flag: no probabilities are shown, there is one request at a time, and a schema
has a flag of its own."""


@pytest.mark.parametrize("flag", BAD)
def test_every_flag_reaches_the_library(farthing: Farthing, story: Path, flag: str) -> None:
    done = farthing("run", story, "x", flag, BAD[flag])
    assert done.returncode == 1
    assert NAMED_OTHERWISE.get(flag, flag.strip("-").replace("-", "_")) in done.stderr


def test_every_option_has_a_flag() -> None:
    names = {NAMED_OTHERWISE.get(flag, flag.strip("-").replace("-", "_")) for flag in BAD}
    names = (names - {"dry_sequence_breaker"}) | {
        "dry_sequence_breakers",
        "ignore_eos",
        "lora",
        "context_shift",
    }
    assert names == set(NAMES) - NEEDLESS


def test_verbose_prints_timings_to_stderr(farthing: Farthing, story: Path) -> None:
    done = farthing("run", story, "Once upon", "--raw", "--temp", 0, "-v")
    assert done.stdout == REST + "\n"
    assert "prompt: 3 tokens" in done.stderr


def test_sessions_and_system_prompts(farthing: Farthing, story: Path, tmp_path: Path) -> None:
    words = ["run", story, "--temp", 0, "-v", "--session", "tea"]
    first = farthing(*words, "Well?").stderr
    second = farthing(*words, "Well?", "--system", "Be brief.").stderr
    lengths = [int(line.split()[1]) for line in (first, second)]
    assert lengths[1] > 2 * lengths[0]
    assert (tmp_path / "sessions" / "tea.json").exists()


def test_sessions_need_a_chat(farthing: Farthing, story: Path) -> None:
    done = farthing("run", story, "x", "--raw", "--session", "tea")
    assert done.returncode == 2
    assert "--raw" in done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["nowhere.gguf", "x"], "nowhere.gguf"),
        ([__file__, "x"], "test_run.py"),
        (["{story}", "x", "--top-p", "3"], "top_p is 3"),
        (["{story}", "x" * 3000], "3"),
        (["{story}", "x", "--kv-type", "f64"], "f64"),
        (["{story}", "x", "--session", "../x"], "../x"),
    ],
)
def test_an_error_is_one_line_that_names_it(
    farthing: Farthing, story: Path, words: list[str], named: str
) -> None:
    words = [str(story) if word == "{story}" else word for word in words]
    done = farthing("run", *words)
    assert done.returncode == 1
    assert done.stderr.startswith("farthing: ")
    assert done.stderr.count("\n") == 1
    assert named in done.stderr


@pytest.mark.parametrize(("debug", "traceback"), [([], False), (["--debug"], True)])
def test_debug_shows_the_traceback(
    environment: dict[str, str], debug: list[str], traceback: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "farthing", "run", "nowhere.gguf", "x", *debug],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) == traceback


@pytest.mark.parametrize("words", [["--foo"], ["-l", "x"], ["-n", "many"]])
def test_wrong_flags_are_usage_errors(farthing: Farthing, story: Path, words: list[str]) -> None:
    done = farthing("run", story, "x", *words)
    assert done.returncode == 2
    assert words[0] in done.stderr or words[-1] in done.stderr


def test_adapters(farthing: Farthing, story: Path, tmp_path: Path) -> None:
    pairs = random_pairs(story, ["output.weight"], size=5)
    files = [write_adapter(tmp_path / f"{name}.gguf", pairs) for name in "ab"]
    ask = ("run", story, "Once upon", "--raw", "--temp", "0", "-n", "12")
    plain = farthing(*ask).stdout
    assert farthing(*ask, "--lora", files[0]).stdout != plain
    both = f"{files[0]}:1,{files[1]}:-1.0"
    assert farthing(*ask, "--lora-scaled", both).stdout == plain
    assert farthing(*ask, "--lora", f"{files[0]},{files[1]}").stdout != plain
    wrong = farthing(*ask, "--lora-scaled", files[0])
    assert wrong.returncode == 2
    assert "is not like FILE:0.5" in wrong.stderr
    missing = farthing(*ask, "--lora", tmp_path / "none.gguf")
    assert missing.returncode == 1
    assert "none.gguf" in missing.stderr


ENDLESS = ["run", "--raw", "--temp", "0", "--context-shift"]
"""With a model that never ends by itself."""

PATIENCE = 100
"""Seconds until an end counts as missing."""


def test_ctrl_c_stops_at_once(environment: dict[str, str], endless: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "farthing", *ENDLESS, endless, "Once"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, errors) == (130, b"")


def test_a_reader_that_leaves_ends_it(environment: dict[str, str], endless: Path) -> None:
    command = f"{sys.executable} -m farthing {' '.join(ENDLESS)} {endless} Once | head -c 20"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=PATIENCE, env=environment
    )
    assert len(done.stdout) == 20
    assert done.stderr == ""


def test_a_long_prompt_is_computed_once(farthing: Farthing, story: Path, tmp_path: Path) -> None:
    words = ["run", story, "a " * 200, "--raw", "--temp", 0, "-n", 1, "-v"]
    words += ["--prefix-cache-dir", tmp_path]
    first, second = (farthing(*words) for _ in range(2))
    assert first.stdout == second.stdout
    assert ("0 from cache" in first.stderr, "192 from cache" in second.stderr) == (True, True)
