"""Mistral 7B v0.3, Nemo, Small up to 3.0: an array of JSON objects."""

from farthing.chat.output import short_id
from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="mistral",
    signs=("[TOOL_CALLS]",),
    call=("[TOOL_CALLS]", ""),
    array=True,
    new_id=short_id,
)
