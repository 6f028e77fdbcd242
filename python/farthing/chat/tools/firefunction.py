"""Firefunction 2: an array of objects after a word."""

from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="firefunction",
    signs=("functools",),
    call=(" functools", ""),
    aliases=("functools",),
    array=True,
)
