"""How models set their thinking apart: one file per format, and the table of them."""

from __future__ import annotations

from collections.abc import Callable

from farthing.chat.reasoning import (
    apertus,
    apriel,
    command_r,
    gemma4,
    granite,
    hunyuan,
    kimi_k3,
    mistral,
    seed_oss,
    solar,
    think,
)
from farthing.chat.reasoning.base import ReasoningFormat
from farthing.errors import RequestError

__all__ = ["FORMATS", "ReasoningFormat", "detect", "named"]

FORMATS: tuple[ReasoningFormat, ...] = (
    hunyuan.FORMAT,
    seed_oss.FORMAT,
    kimi_k3.FORMAT,
    command_r.FORMAT,
    mistral.FORMAT,
    gemma4.FORMAT,
    apertus.FORMAT,
    apriel.FORMAT,
    solar.FORMAT,
    granite.FORMAT,
    think.FORMAT,
)
"""In the order of detection: a template has the first whose signs are all in it."""


def detect(
    template: str, is_token: Callable[[str], bool] = lambda text: False
) -> ReasoningFormat | None:
    """The format of a chat template, or else of a vocabulary that has its texts as tokens."""
    for form in FORMATS:
        if form.matches(template):
            return form
    return next((f for f in FORMATS if is_token(f.begin) and is_token(f.end)), None)


def named(name: str) -> ReasoningFormat | None:
    """A format by its name; None for "none". Raises RequestError naming those there are."""
    if name == "none":
        return None
    for form in FORMATS:
        if form.name == name:
            return form
    names = ", ".join(form.name for form in FORMATS)
    raise RequestError(f"reasoning_format {name!r}: there are none, {names}")
