"""Apriel 1.5 and 1.6: words before the thinking, tags around the answer."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(
    name="apriel",
    begin="Here are my reasoning steps:\n",
    end="[BEGIN FINAL RESPONSE]",
    signs=("Here are my reasoning steps", "[BEGIN FINAL RESPONSE]"),
    wrappers=("[END FINAL RESPONSE]",),
)
