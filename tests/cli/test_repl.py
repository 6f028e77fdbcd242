"""The chat in a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import STORY_TEXT

PATIENCE = 100
"""Seconds until what must come counts as missing."""
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, words: list[object], environment: dict[str, str]) -> None:
        self._end, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "farthing", *map(str, words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)
        self._seen = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def until(self, text: str) -> str:
        """What is printed up to `text`, which is then passed."""
        deadline = time.perf_counter() + PATIENCE
        while text not in self._seen:
            assert time.perf_counter() < deadline, f"no {text!r} in {self._seen!r}"
            self._seen += os.read(self._end, 4096).decode().replace("\r", "")
        before, _, self._seen = self._seen.partition(text)
        return before

    def say(self, text: str) -> str:
        """Type a line at the prompt; what comes back before the next prompt, without the echo."""
        self.type(text + "\n")
        return self.until(">>> ").partition("\n")[2]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminals(environment: dict[str, str]) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def chat(terminals: list[Terminal], environment: dict[str, str], story: Path) -> Terminal:
    terminals.append(Terminal(["run", story, "--temp", "0", "-v"], environment))
    terminals[0].until(">>> ")
    return terminals[0]


def prompt_length(answer: str) -> int:
    """Tokens of the prompt, computed or cached, from the timings of `-v`."""
    words = answer.partition("prompt: ")[2].split()
    cached = answer.partition("from cache")[0].split()[-1]
    return int(words[0]) + int(cached)


def test_answers_and_history(chat: Terminal) -> None:
    first = chat.say("Well?")
    assert first.startswith(STORY_TEXT)
    second = chat.say("Well?")
    assert prompt_length(second) > 2 * prompt_length(first)
    chat.say("/clear")
    assert prompt_length(chat.say("Well?")) == prompt_length(first)


def test_several_lines(chat: Terminal) -> None:
    chat.type('"""One\n')
    chat.until("... ")
    chat.type("two\n")
    chat.until("... ")
    assert STORY_TEXT in chat.say('three"""')


def test_commands(chat: Terminal) -> None:
    assert "/bye" in chat.say("/help")
    assert "temperature 0" in chat.say("/set")
    chat.say("/set max_tokens 2")
    assert chat.say("Well?").startswith(" Once upon\n")
    assert "unknown parameter 'warmth'" in chat.say("/set warmth 1")
    assert "unknown command '/what'" in chat.say("/what")
    chat.say("/set top_p 3")
    assert "top_p is 3" in chat.say("Well?")
    assert chat.say("") == ""
    chat.type("/bye\n")
    assert chat.process.wait(PATIENCE) == 0


def test_ctrl_d_leaves(chat: Terminal) -> None:
    chat.type(CTRL_D)
    assert chat.process.wait(PATIENCE) == 0


def test_ctrl_c_stops_one_answer(
    terminals: list[Terminal], environment: dict[str, str], endless: Path
) -> None:
    terminal = Terminal(["run", endless, "--temp", "0", "--context-shift"], environment)
    terminals.append(terminal)
    terminal.until(">>> ")
    terminal.type("Well?\n")
    terminal.until("upon a time")
    terminal.type(CTRL_C)
    terminal.until("\n>>> ")
    terminal.type(CTRL_C)
    terminal.until("Ctrl-D or /bye leaves")
    terminal.until(">>> ")
    terminal.say("/set max_tokens 2")
    assert terminal.say("And?") == " Once upon\n"
    terminal.type("/bye\n")
    assert terminal.process.wait(PATIENCE) == 0
