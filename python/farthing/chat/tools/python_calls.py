"""Calls written as in Python: `name(key="value", other=[1, True])`."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from farthing.chat.output import Output
from farthing.chat.reader import Markers, Reader, Steps
from farthing.chat.tools.base import Frame, ToolFormat, ToolSet
from farthing.chat.tools.parts import Json, Part, Text
from farthing.chat.tools.properties import Properties

_WORDS = {"true": True, "false": False, "null": None}
"""Of JSON, which models mix in."""


@dataclass(frozen=True, kw_only=True)
class PythonCalls(ToolFormat):
    """A list of calls, or calls on lines; each is known once all of the text is there."""

    known_only: bool = False
    """Whether only calls of a tool of the request are calls."""
    listed: bool = True
    """Whether the model writes a list of calls, not lines."""
    gaps: str = r"\n+|(?<=,) "

    def frame(self, name: str) -> Frame:
        """Arguments stand in parentheses."""
        begin, end = self.call
        if self.listed:
            return Frame(f"{name}(", ")", f"{begin}[", f"]{end}", ", ")
        return Frame(f"{name}(", ")", begin, end, "\n")

    def arguments(self, schema: Mapping[str, Any]) -> Sequence[Part]:
        """Named arguments with values in JSON, which is Python's notation here but for names."""
        properties = Properties.of(schema)
        if properties.others is not None:
            return Text("**"), Json({"type": "object", **schema})
        return (properties.part(self._argument, ", "),)

    def _argument(self, name: str | None, schema: Mapping[str, Any]) -> tuple[Part, ...]:
        if name is not None and name.isascii() and name.isidentifier() and not iskeyword(name):
            return Text(f"{name}="), Json(schema)
        return Text(f"**{{{json.dumps(name, ensure_ascii=False)}: "), Json(schema), Text("}")

    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read the calls up to the end of the block."""
        end = self.call[1].strip()
        text, _ = yield from reader.text_until(Markers((end,)))
        return self.read(text, out, tools)

    def read(self, text: str, out: Output, tools: ToolSet) -> bool:
        """Read calls from Python's source; False if it is something else."""
        calls = read_calls(text)
        if not calls or (self.known_only and not all(tools.knows(name) for name, _ in calls)):
            return False
        for name, arguments in calls:
            out.call(name, arguments)
        return True


def read_calls(text: str) -> list[tuple[str, str]]:
    """Names and arguments as JSON text of the calls in Python's source; none if it is not that."""
    # Models put newlines into strings as they are, which Python does not know.
    for source in (text, text.strip().replace("\n", "\\n")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of backslashes in the text
                calls = list(_calls(source))
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
        return [(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls]
    return []


def _calls(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for statement in ast.parse(text.strip()).body:
        if not isinstance(statement, ast.Expr):
            raise ValueError("not an expression")
        value = statement.value
        for node in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
            name, call = _called(node)
            arguments: dict[str, Any] = {}
            for key in call.keywords:
                value = _value(key.value)
                arguments |= value if key.arg is None else {key.arg: value}
            yield name, arguments


def _called(node: ast.expr) -> tuple[str, ast.Call]:
    """The name of what is called, perhaps with hyphens, Python's minus, and the call."""
    match node:
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            name, call = _called(right)
            return f"{ast.unparse(left).replace(' ', '')}-{name}", call
        case ast.Call(func=func, args=[]):
            return ast.unparse(func), node
    raise ValueError("not a call with named arguments")


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=word) if word in _WORDS:
            return _WORDS[word]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {
                ast.literal_eval(key) if key else "": _value(value)
                for key, value in zip(keys, values, strict=True)
            }
    value = ast.literal_eval(node)
    json.dumps(value, allow_nan=False)
    return value
