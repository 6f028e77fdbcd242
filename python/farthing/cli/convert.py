"""`farthing convert`: a model file of an older format becomes GGUF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A GGML, GGMF or GGJT file of the llama family, or one of chatglm.cpp.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The GGUF file to write.")],
    context_length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The model's length of context in tokens; llama files do not say: 2048, of which "
            "Llama 2 has 4096.",
        ),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(
            min=1e-12,
            max=1.0,
            help="The epsilon of the norms; llama files do not say: 5e-6, right are 1e-6 for "
            "Llama 1 and 1e-5 for Llama 2.",
        ),
    ] = None,
    rope_base: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            help="The base of the rotary frequencies; llama files do not say: 10000, Code Llama "
            "has 1000000.",
        ),
    ] = None,
) -> None:
    """Convert an older model file (GGML, GGMF, GGJT, chatglm.cpp) to GGUF."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from farthing.convert import convert
    from farthing.convert.contents import Options

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(output.name, total=None)
        convert(
            source,
            output,
            options=Options(eps=eps, context_length=context_length, rope_base=rope_base),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    console.print(f"wrote {output}", highlight=False, markup=False, soft_wrap=True)
