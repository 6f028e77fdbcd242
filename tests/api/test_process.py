"""Ctrl-C, the end of the interpreter, forks and subinterpreters: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from idle import PATIENCE

HEAD = """
import asyncio, os, signal, sys, threading, time, warnings
sys.path[:0] = {path!r}
import farthing
from idle import DECODE, given_up, long_prompt, wait_until_busy
model = farthing.Model({model!r})
"""

INTERRUPTED = """
def interrupt():
    wait_until_busy(model)
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
with given_up(model):
    try:
        {work}
    except KeyboardInterrupt:
        print("interrupted")
"""


def run(model: Path, code: str) -> str:
    """What the code prints; it must end by itself, well and silently."""
    here = Path(__file__).parent
    head = HEAD.format(path=[str(here), str(here.parent)], model=str(model))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", head + code],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize(
    "work",
    [
        "model.generate(long_prompt())",
        "model.generate(DECODE)",
        "for _ in model.stream(DECODE): pass",
        "asyncio.run(model.agenerate(long_prompt()))",
        "asyncio.run(model.agenerate(DECODE))",
        "model.logits(long_prompt(12_000))",
        "model.chat([{'role': 'user', 'content': 'x' * 12_000}])",
        "model.chat([{'role': 'user', 'content': 'x'}])",
        "for _ in model.chat_stream([{'role': 'user', 'content': 'x'}]): pass",
        "asyncio.run(model.achat([{'role': 'user', 'content': 'x'}]))",
        "model.generate(DECODE, n=3)",
        "model.generate_batch([DECODE] * 12)",
        "model.generate_batch([long_prompt() for _ in range(4)])",
        "asyncio.run(model.agenerate_batch([DECODE] * 12))",
        "model.embed([long_prompt(12_000) for _ in range(4)])",
        "asyncio.run(model.aembed([long_prompt(12_000) for _ in range(4)]))",
    ],
)
def test_ctrl_c_stops_the_work(slow_path: Path, work: str) -> None:
    assert run(slow_path, INTERRUPTED.format(work=work)) == "interrupted"


@pytest.mark.parametrize(
    "work",
    [
        "stream = model.stream(long_prompt()); wait_until_busy(model)",
        "stream = model.stream(DECODE); next(iter(stream))",
        "threading.Thread(target=model.generate, args=[DECODE], daemon=True).start()\n"
        "wait_until_busy(model)",
        "threading.Thread(target=model.generate_batch, args=[[DECODE] * 12], daemon=True).start()\n"
        "wait_until_busy(model); time.sleep(0.2)",
        "texts = [long_prompt(12_000) for _ in range(4)]\n"
        "threading.Thread(target=model.embed, args=[texts], daemon=True).start()\n"
        "wait_until_busy(model)",
        "work = lambda: asyncio.run(model.agenerate(DECODE))\n"
        "threading.Thread(target=work, daemon=True).start(); wait_until_busy(model)",
        "slow = lambda ids, scores: time.sleep(0.01) or scores\n"
        "stream = model.stream(DECODE, logits_processor=slow); next(iter(stream))",
        "streams = [model.stream(DECODE) for _ in range(40)]; wait_until_busy(model)",
        "async def leave():\n"
        "    asyncio.ensure_future(model.agenerate(DECODE))\n"
        "    asyncio.ensure_future(model.agenerate_batch([DECODE] * 12))\n"
        "    await asyncio.sleep(0.05)\n"
        "asyncio.run(leave())",
        "asyncio.run(model.agenerate(DECODE, max_tokens=2))",
        "loop = asyncio.new_event_loop()\n"
        "pieces = aiter(model.stream(DECODE))\n"
        "loop.run_until_complete(anext(pieces)); loop.close()",
        "sys.exit(0)",
        "model.close(); model.close()",
    ],
)
def test_the_interpreter_ends_well(slow_path: Path, work: str) -> None:
    assert run(slow_path, work + "\nprint('end')") in ("end", "")


FORKED = """
list(model.stream(DECODE, max_tokens=2))
stream = model.stream(DECODE, context_shift=True)
wait_until_busy(model)
warnings.simplefilter("ignore")
child = os.fork()
if child == 0:
    try:
        {work}
    except farthing.FarthingError as error:
        assert f"process {{os.getppid()}}" in str(error)
        print("refused", flush=True)
    stream.cancel()
    model.close()
    del stream, model
    sys.exit(0)
deadline = time.perf_counter() + 60
while os.waitpid(child, os.WNOHANG)[0] == 0:
    if time.perf_counter() > deadline:
        os.kill(child, signal.SIGKILL)
        sys.exit("the child hangs")
    time.sleep(0.01)
# It would go on for ever.
assert model._engine.status["running"] == 1, "the child cancelled what is the parent's"
"""


@pytest.mark.parametrize(
    "work",
    [
        "model.generate(DECODE, max_tokens=1)",
        "model.logits(DECODE)",
        "list(stream)",
        "asyncio.run(model.agenerate(DECODE, max_tokens=1))",
    ],
)
def test_a_forked_child_is_refused(slow_path: Path, work: str) -> None:
    assert run(slow_path, FORKED.format(work=work)) == "refused"


def test_a_forked_child_loads_its_own(slow_path: Path) -> None:
    code = """
warnings.simplefilter("ignore")
path = model.path
if os.fork() == 0:
    with farthing.Model(path) as own:
        print(len(own.generate(DECODE, max_tokens=3).tokens))
    sys.exit(0)
os.wait()
"""
    assert run(slow_path, code) == "3"


POOLS = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
import farthing

def use_the_parents(prompt):
    return model.generate(prompt, max_tokens=3).tokens

def load(path):
    with farthing.Model(path) as own:
        return own.generate([5], max_tokens=3, temperature=0).tokens

if __name__ == "__main__":
    method, path = sys.argv[1:]
    model = farthing.Model(path)
    expected = model.generate([5], max_tokens=3, temperature=0).tokens
    pieces = iter(model.stream([5]))
    next(pieces)
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        if method == "fork":
            error = pool.submit(use_the_parents, [5]).exception(timeout=60)
            assert type(error) is farthing.FarthingError, error
            assert f"loaded by process {os.getpid()}" in str(error), error
        assert pool.submit(load, path).result(timeout=60) == expected
    next(pieces)
    print("end")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_a_pool(slow_path: Path, tmp_path: Path, method: str) -> None:
    script = tmp_path / "pools.py"
    script.write_text(POOLS)
    # From Python 3.12 on, a fork beside other threads is warned of.
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", str(script)]
    done = subprocess.run(
        [*command, method, str(slow_path)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "end\n")


SUBINTERPRETER = """
try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters
inner = f"import os, sys; sys.path[:] = {sys.path!r}; import farthing" + '''
try:
    farthing.Model
except ImportError as error:
    os.write(1, str(error).encode())
'''
number = _interpreters.create()
_interpreters.run_string(number, inner)
_interpreters.destroy(number)
assert len(model.generate(DECODE, max_tokens=3).tokens) == 3
"""


def test_a_subinterpreter_is_refused(slow_path: Path) -> None:
    said = run(slow_path, SUBINTERPRETER)
    assert "farthing._native does not support loading in subinterpreters" in said
