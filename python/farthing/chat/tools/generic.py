"""For templates that know no tools: they are described in the prompt, in the usual form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from farthing.chat.tools.json_calls import JsonCalls

FORMAT = JsonCalls(
    name="generic",
    signs=(),
    call=("<tool_call>\n", "\n</tool_call>"),
    bare=True,
)

_INSTRUCTIONS = """\
# Tools

You may call one or more of these functions to answer the user:
<tools>
{tools}
</tools>

For each call, return a JSON object with the function's name and its arguments, in these tags:
<tool_call>
{{"name": <function name>, "arguments": <arguments object>}}
</tool_call>"""


def spelled_out(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], *, system: bool
) -> list[dict[str, Any]]:
    """The conversation without tool calls and results as such, and with a description of tools.

    The description goes to the system message, or where `system` is false, before the first
    message.
    """
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    told = _with_text(messages, _INSTRUCTIONS.format(tools=listed), system=system)
    spelled: list[dict[str, Any]] = []
    for message in told:
        if message.get("role") == "tool":
            text = f"<tool_response>\n{message.get('content') or ''}\n</tool_response>"
            if spelled and spelled[-1].get("role") == "tool":
                spelled[-1]["content"] += "\n" + text
            else:
                spelled.append({"role": "tool", "content": text})
        elif message.get("tool_calls"):
            texts = [message.get("content") or "", *map(_call_text, message["tool_calls"])]
            content = "\n".join(text for text in texts if text)
            rest = {key: value for key, value in message.items() if key != "tool_calls"}
            spelled.append({**rest, "content": content})
        else:
            spelled.append(message)
    return [{**m, "role": "user"} if m.get("role") == "tool" else m for m in spelled]


def _with_text(
    messages: Sequence[Mapping[str, Any]], text: str, *, system: bool
) -> list[dict[str, Any]]:
    first = dict(messages[0]) if messages else {}
    wanted = ("system",) if system else ("system", "user")
    if first.get("role") in wanted and isinstance(first.get("content"), str):
        both = {**first, "content": f"{first['content']}\n\n{text}".strip()}
        return [both, *map(dict, messages[1:])]
    return [{"role": "system" if system else "user", "content": text}, *map(dict, messages)]


def _call_text(call: Mapping[str, Any]) -> str:
    function = call.get("function", call)
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        with suppress(ValueError):
            arguments = json.loads(arguments)
    written = {"name": function.get("name"), "arguments": arguments}
    return f"<tool_call>\n{json.dumps(written, ensure_ascii=False)}\n</tool_call>"
