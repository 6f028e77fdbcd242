"""Command R7B, Command A and later: an array of numbered objects."""

from farthing.chat.tools.base import NUMBER
from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="command-r",
    signs=("<|START_ACTION|>", "<|END_ACTION|>"),
    call=("<|START_ACTION|>", "<|END_ACTION|>"),
    keys=("tool_name", "parameters"),
    lead=f'"tool_call_id": "{NUMBER}", ',
    array=True,
)
