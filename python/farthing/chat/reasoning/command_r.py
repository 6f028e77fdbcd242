"""Command R7B, Command A and later."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(
    name="command-r",
    begin="<|START_THINKING|>",
    end="<|END_THINKING|>",
    wrappers=("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
)
