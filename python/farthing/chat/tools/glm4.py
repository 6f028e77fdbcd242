"""GLM 4.5 to 4.7, Ling 3, Laguna: keys and values in tags of their own."""

from farthing.chat.tools.tagged_calls import TaggedCalls

FORMAT = TaggedCalls(
    name="glm4",
    signs=("<tool_call>", "<arg_key>", "<arg_value>"),
    call=("<tool_call>", "\n</tool_call>"),
    name_tag=("", "\n"),
    key_tag=("<arg_key>", "</arg_key>"),
    value_tag=("\n<arg_value>", "</arg_value>"),
)
