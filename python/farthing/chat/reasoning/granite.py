"""Granite 3.3: as usual, and the answer has a tag too."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(
    name="granite",
    begin="<think>",
    end="</think>",
    signs=("<think></think>", "<response></response>"),
    wrappers=("<response>", "</response>"),
)
