"""Flags that several commands share, with llama.cpp's names."""

from __future__ import annotations

from typing import Annotated, Any

import typer

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help='A GGUF file, or "demo" for the built-in model.')
]
Context = Annotated[
    int | None, typer.Option("-c", "--ctx-size", help="Longest sequence in tokens.")
]
Threads = Annotated[int | None, typer.Option("-t", "--threads", help="Computing threads.")]
KvType = Annotated[str, typer.Option("--kv-type", help="Type of the KV cache: f16 or f32.")]
Repack = Annotated[
    bool | None,
    typer.Option(
        "--repack/--no-repack",
        help="Rearrange weights in memory, or leave them as in the file (default: by memory).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

MaxTokens = Annotated[
    int | None,
    typer.Option("-n", "--predict", "--n-predict", help="Most tokens to generate; -1: no limit."),
]
Temperature = Annotated[
    float | None, typer.Option("--temp", "--temperature", help="0.8; 0 is greedy.")
]
TopK = Annotated[int | None, typer.Option("--top-k", help="40; 0 is off.")]
TopP = Annotated[float | None, typer.Option("--top-p", help="0.95; 1 is off.")]
MinP = Annotated[float | None, typer.Option("--min-p", help="0.05; 0 is off.")]
TypicalP = Annotated[
    float | None, typer.Option("--typical", "--typical-p", help="1.0, which is off.")
]
RepeatLastN = Annotated[
    int | None, typer.Option("--repeat-last-n", help="64 tokens for the penalties; -1: all.")
]
RepeatPenalty = Annotated[float | None, typer.Option("--repeat-penalty", help="1.0, which is off.")]
PresencePenalty = Annotated[
    float | None, typer.Option("--presence-penalty", help="0.0, which is off.")
]
FrequencyPenalty = Annotated[
    float | None, typer.Option("--frequency-penalty", help="0.0, which is off.")
]
Seed = Annotated[int | None, typer.Option("-s", "--seed", help="-1: a new one each time.")]
LogitBias = Annotated[
    list[str] | None,
    typer.Option("-l", "--logit-bias", help="ID+BIAS or ID-BIAS, such as 15043+1; repeatable."),
]
IgnoreEos = Annotated[bool, typer.Option("--ignore-eos", help="Go on where the model would end.")]
Stop = Annotated[
    list[str] | None,
    typer.Option("-r", "--stop", "--reverse-prompt", help="Text that ends it; repeatable."),
]


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: those left out have the library's defaults."""
    return {
        name: value
        for name, value in options.items()
        if value is not None and value is not False and value not in ([], {})
    }


def biases(entries: list[str] | None) -> dict[int, float]:
    """`["15043+1", "2-inf"]` as a dict."""
    found = {}
    for entry in entries or []:
        digits = entry[: len(entry) - len(entry.lstrip("0123456789"))]
        try:
            found[int(digits)] = float(entry[len(digits) :])
        except ValueError:
            raise typer.BadParameter(f"{entry!r} is not like 15043+1 or 2-inf") from None
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
