"""Seed-OSS: as Qwen 3 Coder, without newlines around values."""

from farthing.chat.tools.tagged_calls import TaggedCalls

FORMAT = TaggedCalls(
    name="seed-oss",
    signs=("<seed:tool_call>", "<function=", "<parameter="),
    call=("<seed:tool_call>", "\n</function>\n</seed:tool_call>"),
    name_tag=("\n<function=", ">"),
    key_tag=("\n<parameter=", ">"),
    value_tag=("", "</parameter>"),
)
