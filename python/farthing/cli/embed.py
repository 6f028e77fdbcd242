"""`farthing embed`: texts to vectors."""

from __future__ import annotations

import io
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from farthing.cli import flags

if TYPE_CHECKING:
    from farthing.api.embedding import Vectors
    from farthing.types import Pooling

_FORMATS = ("json", "jsonl", "npy")
_POOLINGS = ("none", "mean", "cls", "last", "rank")


def command(
    name: flags.ModelName,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="The texts; without any, the lines of stdin."),
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(
            help=f"One vector for a text: {', '.join(_POOLINGS)} (default: as the file says)."
        ),
    ] = None,
    normalize: Annotated[
        bool,
        typer.Option("--normalize/--no-normalize", help="Vectors of length 1, or as they are."),
    ] = True,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut texts that are longer than the context.")
    ] = False,
    style: Annotated[
        str,
        typer.Option(
            "-o",
            "--format",
            help="json: as OpenAI's API; jsonl: an array of numbers a line; npy: NumPy's file.",
        ),
    ] = "json",
    output: Annotated[
        Path | None, typer.Option("--output", help="The file to write; without it, stdout.")
    ] = None,
    ctx_size: flags.Context = None,
    threads: flags.Threads = None,
    kv_type: flags.KvType = "f16",
    repack: flags.Repack = None,
) -> None:
    """Print the embeddings of texts.

    Without texts every line of stdin is one; empty lines are left out.
    """
    from farthing.api.model import Model

    for option, value, known in (("pooling", pooling, _POOLINGS), ("format", style, _FORMATS)):
        if value is not None and value not in known:
            raise typer.BadParameter(
                f"--{option} is {value}, but must be one of {', '.join(known)}"
            )
    if style == "npy" and output is None and sys.stdout.isatty():
        raise typer.BadParameter("--format npy is no text: --output or a pipe is needed")
    if not texts:
        texts = [line for line in sys.stdin.read().splitlines() if line.strip()]
    with Model(name, n_ctx=ctx_size, n_threads=threads, kv_type=kv_type, repack=repack) as model:
        pooling = pooling or model.info["pooling"]
        if style == "npy" and pooling == "none":
            raise typer.BadParameter("--format npy has one vector for a text, pooling none more")
        vectors = model.embed(texts, cast("Pooling", pooling), normalize, truncate=truncate)
    if style == "npy":
        import numpy as np

        # Not by name, to which NumPy would add a suffix; nor to the file, since a pipe has no
        # position.
        content = io.BytesIO()
        np.save(content, np.asarray(vectors))
        with output.open("wb") if output else nullcontext(sys.stdout.buffer) as file:
            file.write(content.getbuffer())
        return
    lines = "".join(f"{line}\n" for line in _lines(vectors, style, name))
    if output is None:
        sys.stdout.write(lines)
    else:
        output.write_text(lines, encoding="utf-8")


def _lines(vectors: Vectors, style: str, name: str) -> list[str]:
    rows = [row.tolist() for row in vectors]
    if style == "jsonl":
        return [json.dumps(row) for row in rows]
    data = [
        {"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)
    ]
    return [json.dumps({"object": "list", "model": name, "data": data}, ensure_ascii=False)]
