"""Apertus."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(name="apertus", begin="<|inner_prefix|>", end="<|inner_suffix|>")
