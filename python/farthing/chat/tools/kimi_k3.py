"""Kimi K3: elements opened and closed by special tokens; arguments have types."""

from farthing.chat.tools.base import NUMBER
from farthing.chat.tools.tagged_calls import TaggedCalls

FORMAT = TaggedCalls(
    name="kimi-k3",
    signs=("<|open|>", "<|close|>", "<|sep|>"),
    section=("<|open|>tools<|sep|>", "<|close|>tools<|sep|>"),
    call=('<|open|>call tool="', "<|close|>call<|sep|>"),
    name_tag=("", "<|sep|>"),
    key_tag=('<|open|>argument key="', "<|sep|>"),
    value_tag=("", "<|close|>argument<|sep|>"),
    text_attribute=('" type="string"', '" type="{kind}"'),
    name_attribute=f'" index="{NUMBER}"',
    first_number="1",
)
