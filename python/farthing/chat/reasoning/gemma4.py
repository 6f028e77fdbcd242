"""Gemma 4: a channel of its own."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(
    name="gemma4",
    begin="<|channel>thought\n",
    end="<channel|>",
    signs=("<|channel>", "<channel|>"),
)
