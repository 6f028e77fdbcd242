"""How one model is talked to: its template, and the formats of what it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from farthing.chat import reasoning, tools
from farthing.chat.functions import Tool, as_tools
from farthing.chat.parser import OutputParser
from farthing.chat.reasoning import ReasoningFormat
from farthing.chat.template import ChatTemplate
from farthing.chat.tools import Plan, ToolFormat, ToolSet, generic
from farthing.errors import RequestError


@dataclass(frozen=True)
class Prompt:
    """A conversation ready for the model."""

    text: str
    form: ToolFormat | None
    """How to read the answer; None when all of it is content."""
    plan: Plan
    begun: str = ""
    """The end of `text` that belongs to the answer already."""
    opening: str | None = None
    """How calls begin there, if they must."""
    choice: str = "auto"
    """What `tool_choice` asks for: a function's name, "auto", "none" or "required"."""

    def parser(self) -> OutputParser | None:
        """A parser of the answer, which has read `begun`; None when none is needed."""
        if self.form is None:
            return None
        parser = OutputParser(self.form, self.plan)
        if self.begun:
            parser.begin(self.begun)
        return parser

    @property
    def thinking(self) -> tuple[str | None, str] | None:
        """What begins reasoning, None if it has begun, and what ends it; None if there is none."""
        thoughts = self.plan.reasoning
        if thoughts is None or thoughts.closed_by(self.text):
            return None
        return (None if self.plan.opened else thoughts.begin), thoughts.end

    @property
    def callable(self) -> list[str]:
        """The tools that may be called."""
        if self.plan.tools is None or self.choice not in ("auto", "required"):
            return [self.choice] if self.plan.tools is not None else []
        return list(self.plan.tools.schemas)

    @property
    def markers(self) -> tuple[str, ...]:
        """Texts that the parser must see even where they are special tokens."""
        if self.form is None:
            return ()
        thoughts = self.plan.reasoning.markers if self.plan.reasoning is not None else ()
        return (*self.form.markers, *thoughts)


class ChatFormat:
    """A chat template and the output formats that belong to it.

    These are found in the template's source, and where it does not tell, by the special tokens of
    the vocabulary.
    """

    def __init__(
        self, template: ChatTemplate, is_token: Callable[[str], bool] = lambda text: False
    ) -> None:
        """`is_token` says whether a text is a token of the vocabulary."""
        self.template = template
        self._is_token = is_token

    @cached_property
    def reasoning(self) -> ReasoningFormat | None:
        """How the model sets its thinking apart; None if it does not seem to think."""
        return reasoning.detect(self.template.source or "", self._is_token)

    @cached_property
    def tools(self) -> ToolFormat:
        """How the model writes tool calls."""
        source = (self.template.for_tools(True).source or "") + (self.template.source or "")
        return tools.detect(source, self._is_token) or generic.FORMAT

    def prepare(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Tool] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
        tool_format: str | None = None,
        reasoning_format: str | None = None,
    ) -> Prompt:
        """The prompt for a conversation, and how to read what follows.

        The arguments are those of `farthing.api.chat.ChatOptions`; `variables` are for the
        template. Raises RequestError for what makes no sense.
        """
        given = as_tools(tools)
        choice = _choice(tool_choice, given)
        if choice == "none":
            given = []
        form, thoughts = self._formats(tool_format, reasoning_format)
        template = self.template.for_tools(given)
        fitted = template.fitted(messages)
        if given and not template.forms.tools:
            fitted = generic.spelled_out(fitted, given, system=template.forms.system)
            form = form if tool_format is not None else generic.FORMAT
            text = template.render(fitted, **(variables or {}))
        else:
            text = template.render(fitted, given, **(variables or {}))
        opened = thoughts is not None and thoughts.opened_by(text)
        plan = Plan(thoughts, opened, ToolSet.of(given) if given else None)
        begun, opening = "", None
        if choice not in ("auto", "none"):
            end = f"{thoughts.end}\n\n" if thoughts is not None and opened else ""
            opening = form.opening(None if choice == "required" else choice)
            begun = end + _without_overlap(text, opening)
        if not given and thoughts is None and not form.always:
            return Prompt(text, None, plan)
        return Prompt(text + begun, form, plan, begun, opening, choice)

    def _formats(
        self, tool_format: str | None, reasoning_format: str | None
    ) -> tuple[ToolFormat, ReasoningFormat | None]:
        form = self.tools if tool_format is None else tools.named(tool_format)
        if reasoning_format is None:
            return form, self.reasoning
        return form, reasoning.named(reasoning_format)


def _choice(choice: str | Mapping[str, Any] | None, given: Sequence[Mapping[str, Any]]) -> str:
    """A function's name, "auto", "none" or "required"."""
    names = [tool["function"]["name"] for tool in given]
    if choice in (None, "auto", "none"):
        return str(choice or "auto")
    if choice == "required":
        if not names:
            raise RequestError("tool_choice 'required' needs tools")
        return names[0] if len(names) == 1 else "required"
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if name not in names:
        there = ", ".join(names) or "no tools"
        raise RequestError(
            f"tool_choice {choice!r}: want 'auto', 'none', 'required' or "
            f"{{'type': 'function', 'function': {{'name': ...}}}} with one of: {there}"
        )
    return str(name)


def _without_overlap(before: str, text: str) -> str:
    """The text without the beginning that is there already."""
    for length in range(min(len(before), len(text)), 0, -1):
        if before.endswith(text[:length]):
            return text[length:]
    return text
