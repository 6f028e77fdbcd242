"""Kimi K2: an id that holds the name, and JSON. The template wants that id back."""

from farthing.chat.tools.base import NUMBER
from farthing.chat.tools.named_calls import NamedCalls

FORMAT = NamedCalls(
    name="kimi-k2",
    signs=("<|tool_calls_section_begin|>", "<|tool_call_begin|>"),
    section=("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    call=("<|tool_call_begin|>", "<|tool_call_end|>"),
    head="functions.{name}:" + NUMBER + "<|tool_call_argument_begin|>",
    pattern=r"\s*(?P<id>(functions\.)?(?P<name>[\w.-]+?)(:\d+)?)\s*<\|tool_call_argument_begin\|>\s*",
    special=("<|tool_call_argument_begin|>",),
    ends_reasoning=True,
)
