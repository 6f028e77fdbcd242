"""MiniMax M1, Apriel: objects, or an array of them, in one tag."""

from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="tool-calls-tag",
    signs=("<tool_calls>", "</tool_calls>"),
    call=("<tool_calls>", "</tool_calls>"),
    separator="\n",
)
