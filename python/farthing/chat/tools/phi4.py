"""Phi 4 mini: an array of objects between special tokens, or after a word."""

from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="phi4",
    signs=("<|tool|>", "<|/tool|>"),
    call=("<|tool_call|>", "<|/tool_call|>"),
    aliases=("functools",),
    array=True,
)
