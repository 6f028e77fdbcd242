"""Nemotron Nano 2: an array of objects in a tag."""

from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="nemotron",
    signs=("<TOOLCALL>", "</TOOLCALL>"),
    call=("<TOOLCALL>", "</TOOLCALL>"),
    array=True,
)
