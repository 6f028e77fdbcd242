"""DeepSeek V3, R1 and their distillations: a name and fenced JSON."""

from farthing.chat.tools.named_calls import NamedCalls

FORMAT = NamedCalls(
    name="deepseek-v3",
    signs=("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "```json"),
    section=("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    call=("<｜tool▁call▁begin｜>", "\n```<｜tool▁call▁end｜>"),
    head="function<｜tool▁sep｜>{name}\n```json\n",
    pattern=r"\s*\w*<｜tool▁sep｜>(?P<name>[\w.-]+)\s*(```(json)?)?\s*",
    separator="\n",
    special=("<｜tool▁sep｜>",),
)
