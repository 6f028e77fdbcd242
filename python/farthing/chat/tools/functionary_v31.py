"""Functionary 3.1, and Llama 3.1 when it is asked for custom functions."""

from farthing.chat.tools.named_calls import NamedCalls

FORMAT = NamedCalls(
    name="functionary-v3.1",
    signs=("<function=", "</function>"),
    call=("<function=", "</function>"),
    head="{name}>",
    pattern=r"(?P<name>[\w.-]+)>\s*",
)
