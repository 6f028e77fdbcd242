"""The command line: one file per command, each with a function `command`.

To add one: a file, and its name in COMMANDS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

COMMANDS = ("run", "embed", "show", "tokenize", "convert", "bench")
"""In the order of the help; the first sentence of `command`'s documentation is the help's line."""

INTERRUPTED = 130
"""The exit status of a program ended by Ctrl-C, by convention of shells."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, `sys.argv` by default, and exit with its status.

    What goes wrong is one line on stderr and status 1; `--debug`, anywhere, shows the traceback
    and the log.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = _take_debug(words)
    try:
        _app()(words, prog_name="farthing")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Nobody reads on: also what Python still writes at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        print(f"farthing: {_in_words(error)}", file=sys.stderr)
        sys.exit(1)


def _take_debug(words: list[str]) -> bool:
    options = words[: words.index("--")] if "--" in words else words
    if "--debug" not in options:
        return False
    words.remove("--debug")
    import logging

    logging.basicConfig(level=logging.DEBUG)
    return True


def _app() -> typer.Typer:
    from importlib import import_module

    import typer

    app = typer.Typer(
        help="Run quantized language models on the CPU.",
        epilog="With --debug, anywhere, errors come with a traceback.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in COMMANDS:
        app.command(name)(import_module(f"farthing.cli.{name}").command)
    return app


def _in_words(error: Exception) -> str:
    from farthing.errors import FarthingError

    text = str(error)
    if isinstance(error, FarthingError | OSError) and text:
        return text
    return f"internal error: {type(error).__name__}: {text} (--debug shows where)"
