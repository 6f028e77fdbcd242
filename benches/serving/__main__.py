"""One workload on one program: Farthing's library in this process, or llama.cpp's server.

    python benches/serving streams farthing MODEL.gguf --counts 1 4 16
    python benches/serving agents llama-server MODEL.gguf --server PATH -- --cache-reuse 256

Prints a JSON object of values by name. What comes after `--` goes to the server.
`python benches/peers` with `--rows streams,agents` runs both in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from contextlib import closing
from pathlib import Path

from backends import Farthing, LlamaServer
from workloads import agents, streams


def main() -> None:
    """Run it."""
    options = _parse(sys.argv[1:])
    # So that a server ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    counts = options.counts if options.workload == "streams" else [options.agents]
    if options.workload == "streams":
        n_ctx = options.prompt + options.gen + 8
    else:
        n_ctx = options.longest + options.gen + 8
    settings = (options.model, n_ctx, max(counts), options.threads)
    backend = (
        Farthing(*settings)
        if options.program == "farthing"
        else LlamaServer(*settings, program=options.server, flags=options.flags)
    )
    with closing(backend):
        if options.workload == "streams":
            work = streams(backend, counts, options.prompt, options.gen)
        else:
            sizes = (options.first, options.longest, options.gen)
            work = agents(backend, options.agents, options.turns, sizes)
        print(json.dumps(asyncio.run(work)))


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("workload", choices=["streams", "agents"])
    parser.add_argument("program", choices=["farthing", "llama-server"])
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--server", default="llama-server", help="llama.cpp's server")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--prompt", type=int, default=16, help="tokens of a stream's prompt")
    parser.add_argument("--gen", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--agents", type=int, default=3)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--first", type=int, default=2000, help="tokens of an agent's first prompt")
    parser.add_argument("--longest", type=int, default=8000, help="tokens of its last one")
    # argparse would take the flags for positional arguments only right after the model.
    end = words.index("--") if "--" in words else len(words)
    return parser.parse_args(words[:end], argparse.Namespace(flags=words[end + 1 :]))


if __name__ == "__main__":
    main()
