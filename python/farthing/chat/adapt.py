"""OpenAI's messages in the forms that a template can handle.

Which forms these are is found by rendering small conversations and looking at the result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

Messages: TypeAlias = Sequence[Mapping[str, Any]]
Render: TypeAlias = Callable[[Messages, Sequence[Mapping[str, Any]] | None], str]

_KEY, _TEXT, _NAME = "probekey", "probetext", "probe_name"
_USER = {"role": "user", "content": "Hello"}
_TOOL = {
    "type": "function",
    "function": {
        "name": _NAME,
        "description": "d",
        "parameters": {"type": "object", "properties": {_KEY: {"type": "string"}}},
    },
}
_ID, _LONG_ID = "abcdefghi", "call_abcdefghijklmnop"


class Forms:
    """What a template wants; each fact is found when it is first needed."""

    def __init__(self, source: str, render: Render) -> None:
        """`render` renders messages as they are and may raise anything."""
        self._source = source
        self._render = render

    @cached_property
    def parts(self) -> bool:
        """Whether content may be a list of text parts."""
        text = self._try([{"role": "user", "content": [{"type": "text", "text": _TEXT}]}])
        return text is not None and _TEXT in text and "'type'" not in text and '"type"' not in text

    @cached_property
    def system(self) -> bool:
        """Whether there may be a system message."""
        text = self._try([{"role": "system", "content": _TEXT}, _USER])
        return text is not None and _TEXT in text

    @cached_property
    def developer(self) -> bool:
        """Whether the template knows the role `developer`."""
        return "developer" in self._source

    @cached_property
    def tools(self) -> bool:
        """Whether the template shows tools."""
        text = self._try([_USER], [_TOOL])
        return text is not None and _NAME in text

    @cached_property
    def json_text(self) -> bool:
        """Whether arguments of tool calls must be JSON text; else they are mappings."""
        mapping = self._try_call({_KEY: _TEXT})
        if mapping is not None and _TEXT in mapping and f"{{'{_KEY}'" not in mapping:
            return False
        text = self._try_call(json.dumps({_KEY: _TEXT}))
        return text is not None and _TEXT in text

    @cached_property
    def no_content(self) -> dict[str, Any]:
        """What stands for no content beside tool calls."""
        arguments: Any = {_KEY: _TEXT}
        if self.json_text:
            arguments = json.dumps(arguments)
        choices: list[dict[str, Any]] = [{}, {"content": None}, {"content": ""}]
        for choice in choices:
            text = self._try([_USER, _call_message(arguments, **choice)])
            if text is not None and _NAME in text:
                return choice
        return {"content": ""}

    @cached_property
    def short_ids(self) -> bool:
        """Whether ids of tool calls must have nine letters and digits."""
        arguments: Any = {_KEY: _TEXT}
        short = [_USER, _call_message(arguments, content="")]
        long = [_USER, _call_message(arguments, content="", call_id=_LONG_ID)]
        return self._try(long) is None and self._try(short) is not None

    def fit(self, messages: Messages) -> list[dict[str, Any]]:
        """The messages in the forms that the template can handle."""
        names: dict[str, str] = {}
        return [self._fit_one(message, names) for message in messages]

    def _fit_one(self, message: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
        """`names` are the functions called so far, by the id of the call."""
        fitted = dict(message)
        if fitted.get("role") == "developer" and not self.developer:
            fitted["role"] = "system"
        text = joined(fitted.get("content"))
        if text is not None and not self.parts:
            fitted["content"] = text
        for alias in ("reasoning", "thinking"):
            if isinstance(fitted.get(alias), str):
                fitted.setdefault("reasoning_content", fitted[alias])
        if calls := fitted.get("tool_calls"):
            fitted["tool_calls"] = [self._fit_call(call, names) for call in calls]
            if not fitted.get("content"):
                fitted.pop("content", None)
                fitted |= self.no_content
        if isinstance(call_id := fitted.get("tool_call_id"), str):
            if call_id in names:
                fitted.setdefault("name", names[call_id])
            fitted["tool_call_id"] = self._fit_id(call_id)
        return fitted

    def _fit_call(self, call: Any, names: dict[str, str]) -> Any:
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            return call
        function = {**function, "arguments": self._fit_arguments(function.get("arguments"))}
        fitted = {"type": "function", **call, "function": function}
        if isinstance(call_id := fitted.get("id"), str):
            names[call_id] = str(function.get("name"))
            fitted["id"] = self._fit_id(call_id)
        return fitted

    def _fit_arguments(self, arguments: Any) -> Any:
        if self.json_text:
            if isinstance(arguments, str):
                return arguments
            return json.dumps(arguments or {}, ensure_ascii=False)
        if not isinstance(arguments, str):
            return arguments or {}
        try:
            value = json.loads(arguments or "{}")
        except ValueError:
            return arguments
        return value if isinstance(value, dict) else arguments

    def _fit_id(self, call_id: str) -> str:
        if not self.short_ids or (len(call_id) == len(_ID) and call_id.isalnum()):
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[: len(_ID)]

    def _try_call(self, arguments: Any) -> str | None:
        return self._try([_USER, _call_message(arguments, content="")])

    def _try(
        self, messages: Messages, tools: Sequence[Mapping[str, Any]] | None = None
    ) -> str | None:
        for given in (tools, tools or []):
            try:
                return self._render(messages, given)
            except Exception:
                continue
        return None


def joined(content: Any) -> str | None:
    """The text of content that is a list of text parts; None for anything else."""
    if not isinstance(content, list) or not content:
        return None
    text = ""
    for part in content:
        more = part.get("text") if isinstance(part, Mapping) else None
        if not isinstance(more, str):
            return None
        apart = not text or not more or text[-1].isspace() or more[0].isspace()
        text += more if apart else "\n" + more
    return text


def _call_message(arguments: Any, call_id: str = _ID, **content: Any) -> dict[str, Any]:
    function = {"name": _NAME, "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", **content, "tool_calls": [call]}
