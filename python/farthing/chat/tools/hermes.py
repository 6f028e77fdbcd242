"""Hermes 2 Pro and 3, Qwen 2.5 and 3, Granite 4, Bielik, MiMo and many others."""

from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="hermes",
    signs=("<tool_call>", "</tool_call>"),
    call=("<tool_call>\n", "\n</tool_call>"),
)
