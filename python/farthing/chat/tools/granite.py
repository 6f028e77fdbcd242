"""Granite 3: an array of objects after a special token."""

from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="granite",
    signs=("<|tool_call|>",),
    call=("<|tool_call|>", ""),
    aliases=("<tool_call>",),
    array=True,
)
