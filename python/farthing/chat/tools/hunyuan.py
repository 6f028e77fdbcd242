"""Hunyuan Hy3: GLM's tags, with a suffix."""

from farthing.chat.tools.tagged_calls import TaggedCalls

FORMAT = TaggedCalls(
    name="hunyuan",
    signs=("<tool_call", "<tool_sep", "<arg_key", ":opensource"),
    section=("<tool_calls:opensource>\n", "\n</tool_calls:opensource>"),
    call=("<tool_call:opensource>", "\n</tool_call:opensource>"),
    name_tag=("", "<tool_sep:opensource>"),
    key_tag=("\n<arg_key:opensource>", "</arg_key:opensource>"),
    value_tag=("\n<arg_value:opensource>", "</arg_value:opensource>"),
    separator="\n",
)
