"""GigaChat 3: an object after a special token."""

from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="gigachat",
    signs=("<|function_call|>",),
    call=("<|function_call|>", ""),
)
