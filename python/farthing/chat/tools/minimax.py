"""MiniMax M2: invocations with named parameters."""

from farthing.chat.tools.tagged_calls import TaggedCalls

FORMAT = TaggedCalls(
    name="minimax",
    signs=("<minimax:tool_call>", "<invoke name="),
    section=("<minimax:tool_call>\n", "\n</minimax:tool_call>"),
    call=('<invoke name="', "\n</invoke>"),
    name_tag=("", '">'),
    key_tag=('\n<parameter name="', '">'),
    value_tag=("", "</parameter>"),
    separator="\n",
)
