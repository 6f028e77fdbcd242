"""MiniCPM 5: functions with parameters, in XML."""

from farthing.chat.tools.tagged_calls import TaggedCalls

FORMAT = TaggedCalls(
    name="minicpm5",
    signs=("<function name=", "<param name="),
    call=('<function name="', "</function>"),
    name_tag=("", '">'),
    key_tag=('<param name="', '">'),
    value_tag=("", "</param>"),
    separator="\n",
    cdata=True,
)
