"""Kimi K3: elements for the thinking and the answer."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(
    name="kimi-k3",
    begin="<|open|>think<|sep|>",
    end="<|close|>think<|sep|>",
    signs=("<|open|>", "<|close|>", "<|sep|>"),
    wrappers=("<|open|>response<|sep|>", "<|close|>response<|sep|>", "<|close|>message<|sep|>"),
)
