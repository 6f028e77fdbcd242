"""Hunyuan Hy3."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(
    name="hunyuan",
    begin="<think:opensource>",
    end="</think:opensource>",
    signs=("<think", ":opensource"),
)
