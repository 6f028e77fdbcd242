"""`farthing tokenize`: the token ids of a text."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from farthing.cli import flags


def command(
    name: flags.ModelName,
    text: Annotated[
        str | None, typer.Argument(help="The text; without it, stdin to its end.")
    ] = None,
    add_special: Annotated[
        bool,
        typer.Option("--add-special/--no-add-special", help="Add BOS and EOS as the model wants."),
    ] = True,
    parse_special: Annotated[
        bool,
        typer.Option(
            "--parse-special/--no-parse-special",
            help="Special tokens written in the text stand for themselves.",
        ),
    ] = False,
    as_json: flags.Json = False,
) -> None:
    """Print the token ids of a text and what each of them means."""
    from farthing.api.locate import locate
    from farthing.tokenization import Tokenizer

    tokenizer = Tokenizer.from_gguf(locate(name))
    if text is None:
        text = sys.stdin.read()
    ids = tokenizer.encode(text, add_special=add_special, parse_special=parse_special)
    pieces = [tokenizer.token_text(token_id) for token_id in ids]
    if as_json:
        print(json.dumps({"ids": ids, "pieces": pieces}, ensure_ascii=False))
        return
    for token_id, piece in zip(ids, pieces, strict=True):
        print(f"{token_id:>7}  {piece}")
