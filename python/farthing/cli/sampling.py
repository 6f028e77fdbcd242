"""The flags of commands that generate, with llama.cpp's names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer


def _sequence(letters: str | None) -> list[str] | None:
    """The samplers of llama.cpp's letters: `"kpt"` is top_k, top_p and temperature."""
    from farthing import _native

    if letters is None:
        return None
    names = {letter: name for name, letter in _native.samplers().items()}
    for letter in letters:
        if letter not in names:
            known = ", ".join(f"{letter} ({name})" for letter, name in names.items())
            raise typer.BadParameter(f"{letter!r} is not one of {known}")
    return [names[letter] for letter in letters]


def _biases(entries: list[str]) -> dict[int, float]:
    """`["15043+1", "2-inf"]` as a dict."""
    found = {}
    for entry in entries:
        digits = entry[: len(entry) - len(entry.lstrip("0123456789"))]
        try:
            found[int(digits)] = float(entry[len(digits) :])
        except ValueError:
            raise typer.BadParameter(f"{entry!r} is not like 15043+1 or 2-inf") from None
    return found


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def _breakers(texts: list[str]) -> list[str]:
    """With llama.cpp's escapes, such as a backslash and n for a newline; `["none"]` is none."""
    import re

    if texts == ["none"]:
        return []
    return [re.sub(r"\\([ntr\"'\\])", lambda m: _ESCAPES.get(m[1], m[1]), text) for text in texts]


class _Flags:
    """A flag for each keyword of `GenerateOptions`; those left out have the library's defaults."""

    max_tokens: Annotated[
        int | None,
        typer.Option(
            "-n", "--predict", "--n-predict", help="Most tokens to generate; -1: no limit."
        ),
    ]
    stop: Annotated[
        list[str] | None,
        typer.Option("-r", "--stop", "--reverse-prompt", help="Text that ends it; repeatable."),
    ]
    samplers: Annotated[
        str | None,
        typer.Option("--samplers", help="Those to apply, in this order, with ; between them."),
    ]
    sampler_seq: Annotated[
        str | None,
        typer.Option(
            "--sampler-seq", "--sampling-seq", help="The same by letters; default edskypmxta."
        ),
    ]
    seed: Annotated[int | None, typer.Option("-s", "--seed", help="-1: a new one each time.")]
    temperature: Annotated[
        float | None, typer.Option("--temp", "--temperature", help="0.8; 0 is greedy.")
    ]
    dynatemp_range: Annotated[
        float | None,
        typer.Option("--dynatemp-range", help="0.0, which is off: temperature by the entropy."),
    ]
    dynatemp_exponent: Annotated[
        float | None, typer.Option("--dynatemp-exp", "--dynatemp-exponent", help="1.0.")
    ]
    top_k: Annotated[int | None, typer.Option("--top-k", help="40; 0 is off.")]
    top_p: Annotated[float | None, typer.Option("--top-p", help="0.95; 1 is off.")]
    min_p: Annotated[float | None, typer.Option("--min-p", help="0.05; 0 is off.")]
    typical_p: Annotated[
        float | None, typer.Option("--typical", "--typical-p", help="1.0, which is off.")
    ]
    top_n_sigma: Annotated[
        float | None, typer.Option("--top-nsigma", "--top-n-sigma", help="-1.0, which is off.")
    ]
    xtc_probability: Annotated[
        float | None, typer.Option("--xtc-probability", help="0.0, which is off.")
    ]
    xtc_threshold: Annotated[float | None, typer.Option("--xtc-threshold", help="0.1.")]
    min_keep: Annotated[
        int | None, typer.Option("--min-keep", help="0; candidates that samplers must leave.")
    ]
    repeat_last_n: Annotated[
        int | None, typer.Option("--repeat-last-n", help="64 tokens for the penalties; -1: all.")
    ]
    repeat_penalty: Annotated[
        float | None, typer.Option("--repeat-penalty", help="1.0, which is off.")
    ]
    presence_penalty: Annotated[
        float | None, typer.Option("--presence-penalty", help="0.0, which is off.")
    ]
    frequency_penalty: Annotated[
        float | None, typer.Option("--frequency-penalty", help="0.0, which is off.")
    ]
    dry_multiplier: Annotated[
        float | None, typer.Option("--dry-multiplier", help="0.0, which is off.")
    ]
    dry_base: Annotated[float | None, typer.Option("--dry-base", help="1.75.")]
    dry_allowed_length: Annotated[int | None, typer.Option("--dry-allowed-length", help="2.")]
    dry_penalty_last_n: Annotated[
        int | None, typer.Option("--dry-penalty-last-n", help="64 tokens; -1: all.")
    ]
    dry_sequence_breakers: Annotated[
        list[str] | None,
        typer.Option(
            "--dry-sequence-breaker",
            help=r"In place of newline, colon, quote and star; repeatable; none: no breakers.",
        ),
    ]
    mirostat: Annotated[
        int | None, typer.Option("--mirostat", help="0, which is off; else its version, 1 or 2.")
    ]
    mirostat_eta: Annotated[
        float | None, typer.Option("--mirostat-lr", help="0.1, its learning rate.")
    ]
    mirostat_tau: Annotated[
        float | None, typer.Option("--mirostat-ent", help="5.0, its target entropy in bits.")
    ]
    adaptive_target: Annotated[
        float | None, typer.Option("--adaptive-target", help="-1.0, which is off.")
    ]
    adaptive_decay: Annotated[float | None, typer.Option("--adaptive-decay", help="0.9.")]
    logit_bias: Annotated[
        list[str] | None,
        typer.Option("-l", "--logit-bias", help="ID+BIAS or ID-BIAS, such as 15043+1; repeatable."),
    ]
    context_shift: Annotated[
        bool | None,
        typer.Option(
            "--context-shift/--no-context-shift",
            help="Throw away the older half when the context is full, and go on.",
        ),
    ]
    n_keep: Annotated[
        int | None,
        typer.Option("--keep", help="0 tokens of the prompt are then kept; -1: all of them."),
    ]
    ignore_eos: Annotated[
        bool | None, typer.Option("--ignore-eos", help="Go on where the model would end.")
    ]
    json_schema: Annotated[
        str | None,
        typer.Option("-j", "--json-schema", help="Answer in JSON by this schema; {} allows any."),
    ]
    grammar: Annotated[str | None, typer.Option("--grammar", help="Keep to this grammar in GBNF.")]
    lark: Annotated[str | None, typer.Option("--lark", help="Keep to this grammar, Lark's way.")]
    regex: Annotated[
        str | None, typer.Option("--regex", help="Text that all of this expression matches.")
    ]
    choices: Annotated[
        list[str] | None, typer.Option("--choice", help="One of these texts; repeatable.")
    ]


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with these flags; its parameter `options` gets those that were given."""
    hints = get_type_hints(_Flags, include_extras=True)

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        given = {name: value for name in hints if (value := values.pop(name)) not in (None, [])}
        command(**values, options=_options(given))

    own = inspect.signature(command, eval_str=True).parameters
    parameters = [parameter for name, parameter in own.items() if name != "options"]
    for hint in hints.values():
        hint.__metadata__[0].rich_help_panel = "Generation"
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in hints.items()
    ]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {
        parameter.name: parameter.annotation for parameter in parameters
    }
    return with_options


def _options(given: dict[str, Any]) -> dict[str, Any]:
    if (letters := given.pop("sampler_seq", None)) is not None:
        given["samplers"] = _sequence(letters)
    if "logit_bias" in given:
        given["logit_bias"] = _biases(given["logit_bias"])
    if "dry_sequence_breakers" in given:
        given["dry_sequence_breakers"] = _breakers(given["dry_sequence_breakers"])
    return given
