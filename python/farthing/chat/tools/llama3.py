"""Llama 3.1 to 3.3: a bare object that names a tool, or a call of a built-in tool."""

from __future__ import annotations

import json
from dataclasses import dataclass

from farthing.chat.output import Output
from farthing.chat.reader import Reader, Steps
from farthing.chat.tools.base import ToolSet
from farthing.chat.tools.json_calls import JsonCalls
from farthing.chat.tools.python_calls import read_calls

_CODE_TOOLS = ("python", "ipython", "code_interpreter")


@dataclass(frozen=True, kw_only=True)
class BuiltIns(JsonCalls):
    """After the special token there may also be `name.call(...)`, or code for a code tool."""

    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read what comes after the special token."""
        if (yield from reader.peek_past_space()) == "{":
            return (yield from super().body(reader, out, tools))
        parts: list[str] = []
        yield from reader.rest(parts.append)
        text = "".join(parts).strip()
        calls = read_calls(text)
        if calls and all(name.endswith(".call") for name, _ in calls):
            for name, arguments in calls:
                out.call(name.removesuffix(".call"), arguments)
            return True
        tool = next((name for name in _CODE_TOOLS if name in tools.schemas), None)
        if tool is None or not text:
            return False
        key = next(iter(tools.schemas[tool].get("properties", {})), "code")
        out.call(tool, json.dumps({key: text}, ensure_ascii=False))
        return True


FORMAT = BuiltIns(
    name="llama3",
    signs=('"parameters"', "ipython"),
    call=("", ""),
    aliases=("<|python_tag|>",),
    keys=("name", "parameters"),
    separator=";",
    bare=True,
)
