"""Flags that several commands share, with llama.cpp's names."""

from __future__ import annotations

from typing import Annotated

import typer

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help='A GGUF file, or "demo" for the built-in model.')
]
Context = Annotated[
    int | None, typer.Option("-c", "--ctx-size", help="Longest sequence in tokens.")
]
Threads = Annotated[int | None, typer.Option("-t", "--threads", help="Computing threads.")]
KvType = Annotated[
    str,
    typer.Option("-ctk", "--kv-type", help="Type of the KV cache: f32, f16, bf16, q8_0 or q4_0."),
]
Repack = Annotated[
    bool | None,
    typer.Option(
        "--repack/--no-repack",
        help="Rearrange weights in memory, or leave them as in the file (default: by memory).",
    ),
]
Draft = Annotated[
    str | None,
    typer.Option(
        "-md", "--model-draft", metavar="FILE", help="A smaller model that guesses tokens."
    ),
]
DraftMax = Annotated[
    int, typer.Option("--draft-max", help="Tokens guessed for a pass, at most; 0: none.")
]
PromptLookup = Annotated[
    bool,
    typer.Option(
        "--prompt-lookup/--no-prompt-lookup", help="Guess what came after the same tokens before."
    ),
]
Lora = Annotated[
    list[str] | None,
    typer.Option("--lora", help="A low-rank adapter to apply, or several with commas; repeatable."),
]
LoraScaled = Annotated[
    list[str] | None,
    typer.Option("--lora-scaled", help="The same with scales: FILE:SCALE,..."),
]
PrefixCacheDir = Annotated[
    str | None,
    typer.Option(
        "--prefix-cache-dir",
        metavar="FOLDER",
        help="Keep what was computed of prompts there, for the next time.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def adapters(files: list[str] | None, scaled: list[str] | None) -> dict[str, float]:
    """The scale of each file of `--lora` and `--lora-scaled`."""
    found = {file: 1.0 for entry in files or [] for file in entry.split(",")}
    for entry in scaled or []:
        for item in entry.split(","):
            file, _, scale = item.rpartition(":")
            try:
                found[file] = float(scale)
            except ValueError:
                raise typer.BadParameter(f"{item!r} is not like FILE:0.5") from None
    return found


def numbers(text: str) -> list[int]:
    """`"1,8"` as a list."""
    try:
        found = [int(word) for word in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number or numbers with commas") from None
    if min(found) < 0:
        raise typer.BadParameter(f"{min(found)} is below 0")
    return found
