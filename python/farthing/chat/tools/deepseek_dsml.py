"""DeepSeek V3.2 and V4: invocations that say which parameters are strings."""

from farthing.chat.tools.tagged_calls import TaggedCalls

FORMAT = TaggedCalls(
    name="deepseek-dsml",
    signs=("DSML", "invoke name=", "function_calls"),
    section=("<｜DSML｜function_calls>\n", "\n</｜DSML｜function_calls>"),
    call=('<｜DSML｜invoke name="', "\n</｜DSML｜invoke>"),
    name_tag=("", '">'),
    key_tag=('\n<｜DSML｜parameter name="', ">"),
    value_tag=("", "</｜DSML｜parameter>"),
    text_attribute=('" string="true"', '" string="false"'),
    separator="\n",
)
