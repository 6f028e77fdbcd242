"""Solar Open."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(
    name="solar",
    begin="<|think|>",
    end="<|end|>",
    signs=("<|think|>", "<|content|>"),
    wrappers=("<|begin|>assistant<|content|>", "<|begin|>assistant", "<|content|>"),
)
