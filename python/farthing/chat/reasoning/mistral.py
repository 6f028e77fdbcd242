"""Magistral and Ministral 3."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(name="mistral", begin="[THINK]", end="[/THINK]")
