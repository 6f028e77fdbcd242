"""DeepSeek V3.1: a name and JSON."""

from farthing.chat.tools.named_calls import NamedCalls

FORMAT = NamedCalls(
    name="deepseek-v3.1",
    signs=("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"),
    section=("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    call=("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
    head="{name}<｜tool▁sep｜>",
    pattern=r"\s*(?P<name>[\w.-]+)<｜tool▁sep｜>\s*",
    special=("<｜tool▁sep｜>",),
)
