"""Mistral since Small 3.1, Devstral, Magistral: a name, sometimes an id, and JSON."""

from farthing.chat.output import short_id
from farthing.chat.tools.named_calls import NamedCalls

FORMAT = NamedCalls(
    name="mistral-named",
    signs=("[TOOL_CALLS]", "[ARGS]"),
    call=("[TOOL_CALLS]", ""),
    head="{name}[ARGS]",
    pattern=r"\s*(?P<name>[\w.-]+)(\[CALL_ID\](?P<id>\w+))?(\[ARGS\])?\s*",
    special=("[CALL_ID]", "[ARGS]"),
    new_id=short_id,
)
