"""DeepSeek V4: as V3.2, with another name of the section."""

from dataclasses import replace

from farthing.chat.tools import deepseek_dsml

FORMAT = replace(
    deepseek_dsml.FORMAT,
    name="deepseek-v4",
    signs=("DSML", "invoke name=", "tool_calls>"),
    section=("<｜DSML｜tool_calls>\n", "\n</｜DSML｜tool_calls>"),
)
