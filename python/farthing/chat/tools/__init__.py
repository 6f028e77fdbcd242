"""How models write tool calls: one file per format, and the table of them."""

from __future__ import annotations

from collections.abc import Callable

from farthing.chat.tools import (
    apertus,
    command_r,
    deepseek_dsml,
    deepseek_v3,
    deepseek_v4,
    deepseek_v31,
    firefunction,
    function_gemma,
    functionary,
    functionary_v31,
    gemma4,
    generic,
    gigachat,
    glm4,
    granite,
    harmony,
    hermes,
    hunyuan,
    kimi_k2,
    kimi_k3,
    lfm2,
    llama3,
    minicpm5,
    minimax,
    mistral,
    mistral_named,
    muse,
    nemotron,
    olmo3,
    phi4,
    pythonic,
    qwen3_coder,
    seed_oss,
    solar,
    tool_calls_tag,
)
from farthing.chat.tools.base import NUMBER, Frame, Plan, Start, ToolFormat, ToolSet
from farthing.errors import RequestError

__all__ = [
    "FORMATS",
    "NUMBER",
    "Frame",
    "Plan",
    "Start",
    "ToolFormat",
    "ToolSet",
    "detect",
    "named",
]

FORMATS: tuple[ToolFormat, ...] = (
    kimi_k3.FORMAT,
    muse.FORMAT,
    hunyuan.FORMAT,
    deepseek_dsml.FORMAT,
    deepseek_v4.FORMAT,
    harmony.FORMAT,
    functionary.FORMAT,
    minimax.FORMAT,
    seed_oss.FORMAT,
    qwen3_coder.FORMAT,
    glm4.FORMAT,
    minicpm5.FORMAT,
    functionary_v31.FORMAT,
    deepseek_v3.FORMAT,
    deepseek_v31.FORMAT,
    kimi_k2.FORMAT,
    solar.FORMAT,
    mistral_named.FORMAT,
    mistral.FORMAT,
    command_r.FORMAT,
    gemma4.FORMAT,
    function_gemma.FORMAT,
    lfm2.FORMAT,
    apertus.FORMAT,
    nemotron.FORMAT,
    gigachat.FORMAT,
    phi4.FORMAT,
    granite.FORMAT,
    firefunction.FORMAT,
    tool_calls_tag.FORMAT,
    olmo3.FORMAT,
    hermes.FORMAT,
    pythonic.FORMAT,
    llama3.FORMAT,
    generic.FORMAT,
)
"""In the order of detection: a template has the first whose signs are all in it."""


def detect(
    template: str, is_token: Callable[[str], bool] = lambda text: False
) -> ToolFormat | None:
    """The format of a chat template, or else of a vocabulary that has its texts as tokens."""
    for form in FORMATS:
        if form.matches(template):
            return form
    for form in FORMATS:
        if form.call[0] and all(is_token(text.strip()) for text in form.markers):
            return form
    return None


def named(name: str) -> ToolFormat:
    """A format by its name; raises RequestError naming those there are."""
    for form in FORMATS:
        if form.name == name:
            return form
    names = ", ".join(form.name for form in FORMATS)
    raise RequestError(f"tool_format {name!r}: there are {names}")
