"""Tools given as Python functions: their JSON schema from signature, hints and docstring."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

from farthing.errors import RequestError

Tool: TypeAlias = Mapping[str, Any] | Callable[..., Any]
"""As in OpenAI's API, with or without `type` and `function`, or a function with type hints."""

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_ARGUMENTS = re.compile(r"^\s*(Args|Arguments|Parameters):\s*$", re.MULTILINE)
_SECTION = re.compile(r"^\s*(Returns?|Raises|Yields|Examples?|Notes?):\s*$", re.MULTILINE)
_ITEM = re.compile(r"^(\s*)(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def as_tools(tools: Sequence[Tool] | None) -> list[dict[str, Any]]:
    """Tools in OpenAI's form; raises RequestError naming the first that is none."""
    return [_as_tool(tool, place) for place, tool in enumerate(tools or ())]


def tool_of(function: Callable[..., Any]) -> dict[str, Any]:
    """A function as a tool.

    The description is the docstring up to `Args:`, where Google's style has a line for each
    parameter. Parameters without a default are required. Raises RequestError for a parameter
    whose type has no JSON schema.
    """
    name = getattr(function, "__name__", type(function).__name__)
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError, NameError) as error:
        raise RequestError(f"tool {name}: its signature cannot be read: {error}") from error
    description, told = _documentation(inspect.getdoc(function) or "")
    properties: dict[str, Any] = {}
    required = []
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        try:
            schema = _schema(hints.get(parameter.name, Any))
        except TypeError as error:
            raise RequestError(f"tool {name}, parameter {parameter.name}: {error}") from None
        if parameter.name in told:
            schema["description"] = told[parameter.name]
        properties[parameter.name] = schema
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {"type": "object", "properties": properties, "required": required},
        },
    }


def _as_tool(tool: Tool, place: int) -> dict[str, Any]:
    if callable(tool):
        return tool_of(tool)
    if isinstance(tool, Mapping):
        function = tool.get("function", tool)
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            return {"type": "function", "function": function} if function is tool else dict(tool)
    raise RequestError(f"tools[{place}] is neither a function with a name nor callable: {tool!r}")


def _schema(hint: Any) -> dict[str, Any]:
    """The JSON schema of a type hint; raises TypeError if there is none."""
    if hint is Any:
        return {}
    if isinstance(hint, type) and hint in _TYPES:
        return {"type": _TYPES[hint]}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        kinds = {_TYPES[type(value)] for value in arguments if type(value) in _TYPES}
        kind = {"type": kinds.pop()} if len(kinds) == 1 else {}
        return {**kind, "enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return _union([_schema(argument) for argument in arguments])
    if origin is typing.Annotated:
        texts = [text for text in arguments[1:] if isinstance(text, str)]
        return _schema(arguments[0]) | ({"description": texts[0]} if texts else {})
    container = origin or hint
    if isinstance(container, type) and issubclass(container, Mapping):
        values = {"additionalProperties": _schema(arguments[1])} if len(arguments) == 2 else {}
        return {"type": "object", **values}
    if isinstance(container, type) and issubclass(container, (Sequence, set, frozenset)):
        return {"type": "array", **({"items": _schema(arguments[0])} if arguments else {})}
    raise TypeError(f"{hint!r} has no JSON schema")


def _union(choices: list[dict[str, Any]]) -> dict[str, Any]:
    others = [choice for choice in choices if choice != {"type": "null"}]
    if len(others) == 1:
        # Optional: parameters may be left out, so null need not be said.
        return others[0]
    if all(list(choice) == ["type"] for choice in choices):
        return {"type": [choice["type"] for choice in choices]}
    return {"anyOf": choices}


def _documentation(text: str) -> tuple[str, dict[str, str]]:
    """A docstring's description, and what it says of each parameter."""
    head = _ARGUMENTS.search(text)
    if head is None:
        end = _SECTION.search(text)
        return (text[: end.start()] if end else text).strip(), {}
    rest = text[head.end() :]
    end = _SECTION.search(rest)
    told: dict[str, str] = {}
    name, indent = "", -1
    for line in (rest[: end.start()] if end else rest).splitlines():
        item = _ITEM.match(line)
        if item and (indent < 0 or len(item[1]) <= indent):
            indent, name = len(item[1]), item[2]
            told[name] = item[3].strip()
        elif name and line.strip():
            told[name] = f"{told[name]} {line.strip()}".strip()
    return text[: head.start()].strip(), told
