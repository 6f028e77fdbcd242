"""Calls whose arguments stand in tags, one by one, as plain text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farthing.chat.output import Output
from farthing.chat.reader import Markers, Reader, Steps
from farthing.chat.tools.base import Frame, ToolFormat, ToolSet
from farthing.chat.tools.parts import Json, Part, Pattern, String, Text
from farthing.chat.tools.properties import Properties, is_free

_KINDS = {"integer": "number"}
"""Types as attributes have them, where that is another name."""
_LONGEST_TAG = 400
"""Characters of a name; a longer text is no call."""


@dataclass(frozen=True, kw_only=True)
class TaggedCalls(ToolFormat):
    """A name, then keys and values between tags.

    A value is text where the tool's schema has a string; else JSON if it can be read as JSON, and
    text if not.
    """

    name_tag: tuple[str, str]
    """Around the name; if nothing is behind it, the name ends where something else begins."""
    key_tag: tuple[str, str]
    """Around a key; what follows a quote within it are attributes."""
    value_tag: tuple[str, str]
    """Around a value; white space in them is what models write and may be missing."""
    text_attribute: tuple[str, str] = ("", "")
    """Attributes of a key that say that its value is, or is not, plain text; the latter may have
    `{kind}`, JSON's type."""
    name_attribute: str = ""
    """Follows a name as the model writes it, such as a number."""
    cdata: bool = False
    """Whether texts may be in CDATA sections, as in XML."""

    def frame(self, name: str) -> Frame:
        """What is around all arguments."""
        begin = self.call[0] + self.name_tag[0] + name + self.name_attribute + self.name_tag[1]
        return Frame(begin, self.call[1], *self.section, self.separator)

    def arguments(self, schema: Mapping[str, Any]) -> Sequence[Part]:
        """The parameters in their order; without names, any."""
        return (Properties.of(schema).part(self._argument, ""),)

    def _argument(self, key: str | None, schema: Mapping[str, Any]) -> tuple[Part, ...]:
        name = Text(key) if key is not None else Pattern("[A-Za-z_][A-Za-z0-9_.-]{0,60}")
        kind = schema.get("type")
        value: tuple[Part, ...]
        if kind == "string" or is_free(schema):
            attribute, value = self.text_attribute[0], (String(schema, self.value_tag[1]),)
        else:
            shown = kind if isinstance(kind, str) else "object"
            attribute = self.text_attribute[1].format(kind=_KINDS.get(shown, shown))
            value = (Json(schema), Text(self.value_tag[1]))
        # White space that is all before a value would be taken for a part of it.
        before = Text(self.value_tag[0], exact=not self.value_tag[0].strip())
        return Text(self.key_tag[0]), name, Text(attribute + self.key_tag[1]), before, *value

    def is_of_body(self, trigger: str) -> bool:
        """The text before a name may be an alias."""
        return trigger == self.name_tag[0].strip()

    def body(self, reader: Reader, out: Output, tools: ToolSet) -> Steps[bool]:
        """Read the name and the arguments."""
        if not (yield from self._opens(reader, self.name_tag[0])):
            return False
        name = yield from self._name(reader)
        if not name:
            return False
        out.start(name)
        between = "{"
        while (yield from self._opens(reader, self.key_tag[0])):
            key, met = yield from self._text(reader, self.key_tag[1])
            if met is None or not (yield from self._opens(reader, self.value_tag[0])):
                out.end(well_formed=False)
                return True
            key, _, attributes = key.strip().partition('"')
            out.arguments(f"{between}{json.dumps(key, ensure_ascii=False)}: ")
            between = ", "
            is_text = self._is_text(attributes, tools.wants_text(name, key))
            if not (yield from self._value(reader, out, is_text)):
                out.end(well_formed=False)
                return True
        complete = yield from self._read(reader, self.call[1])
        if complete:
            out.arguments("{}" if between == "{" else "}")
        out.end(complete)
        return True

    def _name(self, reader: Reader) -> Steps[str]:
        yield from reader.space()
        ends = [self.name_tag[1].strip() or "\n", self.key_tag[0].strip(), *self.ends]
        parts: list[str] = []
        met = yield from reader.until(Markers(ends), parts.append, longest=_LONGEST_TAG)
        if met is None:
            return ""
        if met != ends[0]:
            reader.put_back(met)
        name = "".join(parts).partition('"')[0].strip()
        return name if re.fullmatch(r"[\w.:/-]+", name) else ""

    def _text(self, reader: Reader, end: str) -> Steps[tuple[str, str | None]]:
        parts: list[str] = []
        met = yield from reader.until(Markers((end.strip(),)), parts.append, longest=_LONGEST_TAG)
        return "".join(parts), met

    def _is_text(self, attributes: str, wanted: bool | None) -> bool | None:
        text, other = self.text_attribute
        if text and text.strip('" ') in attributes:
            return True
        if other and other.strip('" ') in attributes:
            return False
        return wanted

    def _value(self, reader: Reader, out: Output, is_text: bool | None) -> Steps[bool]:
        """Read a value up to its end tag; False if that does not come."""
        end = Markers((self.value_tag[1].strip(),))
        stripped = _Lines(self.value_tag[1][:1] == "\n")
        if is_text and not self.cdata:
            out.arguments('"')

            def emit(text: str) -> None:
                out.arguments(_escaped(stripped.push(text)))

            met = yield from reader.until(end, emit)
            if met is not None:
                out.arguments('"')
            return met is not None
        text, met = yield from reader.text_until(end)
        text = stripped.push(text)
        if met is None:
            out.arguments('"' + _escaped(text))
            return False
        if self.cdata and text.startswith("<![CDATA[") and text.endswith("]]>"):
            text, is_text = text[9:-3], True
        out.arguments(_as_json(text, is_text))
        return True

    def _opens(self, reader: Reader, tag: str) -> Steps[bool]:
        return not tag.strip() or (yield from self._read(reader, tag))


class _Lines:
    """Text without the newline at its beginning and end, where the format puts them."""

    def __init__(self, newlines: bool) -> None:
        self._newlines = newlines
        self._held = ""
        self._begun = False

    def push(self, text: str) -> str:
        """What is certain; a newline at the end may be the last one."""
        if not self._newlines or not text:
            return text
        if not self._begun:
            self._begun = True
            text = text.removeprefix("\n")
        text = self._held + text
        shown = text.removesuffix("\n")
        self._held = text[len(shown) :]
        return shown


def _as_json(text: str, is_text: bool | None) -> str:
    """A value as JSON: where it is no text, Python's spelling is understood too."""
    if not is_text:
        try:
            json.loads(text, parse_constant=_refuse)
            return text.strip()
        except (ValueError, RecursionError):
            pass
    if is_text is False:
        try:
            return json.dumps(ast.literal_eval(text.strip()), ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            pass
    return json.dumps(text, ensure_ascii=False)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
