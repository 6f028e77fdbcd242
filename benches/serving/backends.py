"""The programs that serve, behind one interface."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from farthing import Model

START_SECONDS = 300.0
"""How long a server may take to load its model."""


@dataclass(frozen=True)
class Answer:
    """An answer, and when it came, in seconds from the request."""

    tokens: list[int]
    first: float
    """To the first token."""
    last: float
    """To the end."""


class Backend(Protocol):
    """A program with a model. Answers are greedy, never end by themselves, and use the cache."""

    n_vocab: int

    def __enter__(self) -> Backend: ...

    def __exit__(self, *error: object) -> None: ...

    async def answer(self, prompt: Sequence[int], n_gen: int) -> Answer:
        """So many tokens after a prompt."""


class Farthing:
    """The library's asyncio API, in this process.

    Without prompt lookup: models of random weights repeat themselves, which would count as speed.
    """

    def __init__(self, path: Path, n_ctx: int, n_parallel: int, threads: int) -> None:
        self._model = Model(
            path,
            n_ctx=n_ctx,
            max_sequences=n_parallel,
            n_threads=threads,
            prompt_lookup=False,
        )
        self.n_vocab = int(self._model.info["n_vocab"])

    def close(self) -> None:
        """Free the memory."""
        self._model.close()

    async def answer(self, prompt: Sequence[int], n_gen: int) -> Answer:
        """So many tokens after a prompt."""
        start = time.perf_counter()
        first = None
        stream = self._model.stream(prompt, max_tokens=n_gen, temperature=0, ignore_eos=True)
        async for _ in stream:
            first = first or time.perf_counter()
        end = time.perf_counter()
        # An answer of nothing but parts of characters has its first piece at the end.
        return Answer(stream.result.tokens, (first or end) - start, end - start)


class LlamaServer:
    """llama.cpp's server, a process of its own, over HTTP."""

    def __init__(
        self,
        path: Path,
        n_ctx: int,
        n_parallel: int,
        threads: int,
        *,
        program: str,
        flags: Sequence[str],
    ) -> None:
        # Kept, so that nobody else gets the port; the server may have it, too.
        self._reserved = socket.socket()
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            self._reserved.setsockopt(socket.SOL_SOCKET, option, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self._port = self._reserved.getsockname()[1]
        # Each slot's context is rounded up to 256 positions.
        context = -(-n_ctx // 256) * 256 * n_parallel
        self._command = [
            *(program, "-m", str(path), "--host", "127.0.0.1", "--port", str(self._port)),
            *("-c", str(context), "-np", str(n_parallel), "-t", str(threads), "-tb", str(threads)),
            *("--no-webui", *flags),
        ]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, closed with the server
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        try:
            self.n_vocab = self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> int:
        """Wait until it answers; how many tokens its model knows."""
        end = time.perf_counter() + START_SECONDS
        while True:
            if self._process.poll() is not None or time.perf_counter() > end:
                self._log.seek(0)
                said = self._log.read().decode("utf-8", "replace").splitlines()[-5:]
                raise SystemExit(f"{self._command[0]} did not start: {' / '.join(said)}")
            try:
                models = asyncio.run(_get(self._port, "/v1/models"))
            except OSError:
                time.sleep(0.1)
                continue
            if "data" in models:
                return int(models["data"][0]["meta"]["n_vocab"])
            time.sleep(0.1)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._reserved.close()

    async def answer(self, prompt: Sequence[int], n_gen: int) -> Answer:
        """So many tokens after a prompt."""
        body = {
            "prompt": list(prompt),
            "n_predict": n_gen,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": True,
            "stream": True,
            "return_tokens": True,
        }
        start = time.perf_counter()
        first = None
        tokens: list[int] = []
        reader, writer = await _request(self._port, "POST", "/completion", json.dumps(body))
        while line := await reader.readline():
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise SystemExit(f"llama-server: {event['error']}")
            tokens += event.get("tokens", [])
            if tokens and first is None:
                first = time.perf_counter()
            if event.get("stop"):
                break
        end = time.perf_counter()
        writer.close()
        if first is None:
            raise SystemExit(f"llama-server gave no tokens for a prompt of {len(prompt)}")
        return Answer(tokens, first - start, end - start)


async def _request(
    port: int, method: str, path: str, body: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    data = body.encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    await writer.drain()
    return reader, writer


async def _get(port: int, path: str) -> dict[str, Any]:
    reader, writer = await _request(port, "GET", path, "")
    answer = await reader.read()
    writer.close()
    text = answer.partition(b"\r\n\r\n")[2]
    found: dict[str, Any] = json.loads(text[text.index(b"{") : text.rindex(b"}") + 1])
    return found
