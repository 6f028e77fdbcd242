"""DeepSeek R1, Qwen 3, GLM 4.5, MiniMax M2, Nemotron and most others."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(name="think", begin="<think>", end="</think>")
