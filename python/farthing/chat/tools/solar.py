"""Solar Open: an id, a name and JSON."""

from farthing.chat.tools.base import NUMBER
from farthing.chat.tools.named_calls import NamedCalls

FORMAT = NamedCalls(
    name="solar",
    signs=("<|tool_call:begin|>", "<|tool_call:args|>"),
    section=("<|tool_calls|>", ""),
    call=("<|tool_call:begin|>", "<|tool_call:end|>"),
    head=NUMBER + "<|tool_call:name|>{name}<|tool_call:args|>",
    pattern=r"(?P<id>[^<]+)<\|tool_call:name\|>(?P<name>[\w.-]+)<\|tool_call:args\|>\s*",
    special=("<|tool_call:name|>", "<|tool_call:args|>"),
    number="[A-Za-z0-9_-]{1,40}",
)
