"""Gemma 4: objects with bare keys and a special token for quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farthing.chat.output import Output
from farthing.chat.reader import Markers, Reader, Steps
from farthing.chat.tools.base import Frame, ToolFormat, ToolSet
from farthing.chat.tools.parts import Items, Json, Part, String, Text
from farthing.chat.tools.properties import ANNOTATIONS, DEFINITIONS, Properties
from farthing.errors import RequestError

_BARE_KEY = re.compile(r'("(?:[^"\\]|\\.)*")|([{,]\s*)([^\s{}\[\],:"][^{}\[\],:"]*?)\s*:')
_LIST = {"type", "items", "minItems", "maxItems", *DEFINITIONS, *ANNOTATIONS}


@dataclass(frozen=True, kw_only=True)
class GemmaCalls(ToolFormat):
    """`call:name{key:<quote>text<quote>,other:[1,true]}`, known once all of it is there."""

    quote: str
    """Stands before and after a string."""

    def frame(self, name: str) -> Frame:
        """Arguments follow the name."""
        return Frame(f"{self.call[0]}call:{name}", self.call[1])

    def arguments(self, schema: Mapping[str, Any]) -> Sequence[Part]:
        """The object in this notation, where its schema tells how; what is left is JSON."""
        return self._value({"type": "object", **schema})

    def _value(self, schema: Mapping[str, Any]) -> tuple[Part, ...]:
        kind = schema.get("type")
        if kind == "string":
            return Text(self.quote), String(schema, self.quote)
        if kind == "array" and isinstance(schema.get("items"), Mapping) and set(schema) <= _LIST:
            least, most = schema.get("minItems", 0), schema.get("maxItems")
            shared = {key: schema[key] for key in DEFINITIONS if key in schema}
            item = self._value({**shared, **schema["items"]})
            return Text("["), Items(item, ",", least, most), Text("]")
        if kind == "object":
            try:
                properties = Properties.of(schema)
            except RequestError:
                return (Json(schema),)
            if properties.others is None:
                return Text("{"), properties.part(self._member, ","), Text("}")
        return (Json(schema),)

    def _member(self, name: str | None, schema: Mapping[str, Any]) -> tuple[Part, ...]:
        bare = name is not None and re.fullmatch(r"[A-Za-z_][\w.-]*", name)
        key = name if bare else f"{self.quote}{name}{self.quote}"
        return Text(f"{key}:"), *self._value(schema)

    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read one call."""
        text, _ = yield from reader.text_until(Markers((self.call[1],)))
        match = re.fullmatch(r"\s*call:([\w.:-]+)(\{.*\})\s*", text, re.DOTALL)
        if match is None:
            return False
        arguments = "".join(self._json(match[2]))
        try:
            json.loads(arguments)
        except (ValueError, RecursionError):
            return False
        out.call(match[1], arguments)
        return True

    def _json(self, text: str) -> Iterator[str]:
        """The object as JSON: strings lie between quotes or are JSON's, keys are bare words."""
        for place, part in enumerate(text.split(self.quote)):
            if place % 2:
                yield json.dumps(part, ensure_ascii=False)
            else:
                yield _BARE_KEY.sub(lambda found: found[1] or f'{found[2]}"{found[3]}": ', part)


FORMAT = GemmaCalls(
    name="gemma4",
    signs=("<|tool_call>", "<tool_call|>"),
    call=("<|tool_call>", "<tool_call|>"),
    quote='<|"|>',
    special=('<|"|>',),
)
