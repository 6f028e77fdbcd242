"""Qwen 3 Coder, Qwen 3.5, Nemotron 3, Step 3.5: tags named like functions and parameters."""

from farthing.chat.tools.tagged_calls import TaggedCalls

FORMAT = TaggedCalls(
    name="qwen3-coder",
    signs=("<tool_call>", "<function=", "<parameter="),
    call=("<tool_call>", "\n</function>\n</tool_call>"),
    name_tag=("\n<function=", ">"),
    key_tag=("\n<parameter=", ">"),
    value_tag=("\n", "\n</parameter>"),
    aliases=("<function=",),
)
