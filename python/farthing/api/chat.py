"""Chats: from the options of a call to a request, and from tokens to pieces of a message."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from farthing.api.sampling import GenerateOptions
from farthing.api.text import Spoken, TextSoFar
from farthing.types import ChatDelta, FunctionCallDelta, ToolCallDelta

if TYPE_CHECKING:
    from farthing.chat.format import ChatFormat, Prompt
    from farthing.chat.output import Event
    from farthing.chat.parser import OutputParser
    from farthing.tokenization import Tokenizer
    from farthing.types import Message


class ChatOptions(GenerateOptions, total=False):
    """What a chat may say beyond what every generation may."""

    tools: Sequence[Mapping[str, Any] | Callable[..., Any]] | None
    """As in OpenAI's API, or Python functions with type hints and docstrings.

    Arguments of calls are valid by the schema of the tool's parameters. Where a schema cannot be
    enforced, arguments are free and a warning is logged; with `"strict": True` in the tool it
    raises RequestError.
    """
    tool_choice: str | Mapping[str, Any] | None
    """"auto" (default), "none", "required", or `{"type": "function", "function": {"name": ...}}`.

    With the last two the answer is made to begin with a call, without reasoning first.
    """
    parallel_tool_calls: bool | None
    """True (default) lets the answer hold several calls; False, one."""
    enable_thinking: bool | None
    """Switches reasoning on or off in templates that know how; None (default): as the template."""
    template_kwargs: Mapping[str, Any] | None
    """Further variables for the chat template."""
    tool_format: str | None
    """How to read tool calls, a name in `farthing.chat.tools.FORMATS`; None (default) finds out."""
    reasoning_format: str | None
    """How to read reasoning, a name in `farthing.chat.reasoning.FORMATS`, or "none" to leave it
    in the content; None (default) finds out."""


_THINKING = ("enable_thinking", "thinking")
"""The variables by which templates know it."""


def prepare_chat(
    form: ChatFormat, messages: Iterable[Message], options: Mapping[str, Any]
) -> tuple[Prompt, dict[str, Any]]:
    """The prompt of a chat, and the options that are for the generation."""
    rest = dict(options)
    chosen = {name: rest.pop(name, None) for name in NAMES}
    thinking = chosen.pop("enable_thinking")
    del chosen["parallel_tool_calls"]
    variables = {} if thinking is None else dict.fromkeys(_THINKING, thinking)
    variables |= chosen.pop("template_kwargs") or {}
    return form.prepare(list(messages), variables=variables, **chosen), rest


NAMES = tuple(
    name for name in ChatOptions.__annotations__ if name not in GenerateOptions.__annotations__
)


def shown_tokens(tokenizer: Tokenizer, markers: Iterable[str]) -> frozenset[int]:
    """The special tokens whose text is part of a marker."""
    if not (together := "\n".join(markers)):
        return frozenset()
    return frozenset(i for i in tokenizer.special_ids if tokenizer.token_text(i) in together)


class ChatSoFar:
    """The message that the tokens given make, without what its parser holds back."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        stop: Iterable[str],
        parser: OutputParser | None,
        shown: Container[int],
    ) -> None:
        """Without a parser all text is content. `shown` are special tokens the parser must see."""
        self._text = TextSoFar(tokenizer, stop, shown)
        self._parser = parser
        self._flushed = False

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met."""
        return self._text.stopped

    def push(self, token_id: int) -> ChatDelta | None:
        """What became certain with this token, if anything."""
        text = self._text.push(token_id)
        if self._parser is None:
            return ChatDelta(content=text) if text is not None else None
        events = self._parser.push(text) if text is not None else []
        if self._text.stopped:
            events += self._parser.finish()
        return _delta(events)

    def flush(self) -> ChatDelta | None:
        """What is left when no more tokens come, if anything."""
        text = self._text.flush()
        if self._parser is None:
            return ChatDelta(content=text) if text is not None else None
        events = self._parser.push(text) if text is not None else []
        return _delta(events + self._parser.finish())

    def spoken(self) -> Spoken:
        """All of it so far."""
        if self._parser is None:
            return self._text.spoken()
        output = self._parser.output
        return Spoken(output.content_text(), output.reasoning_text() or None, output.tool_calls())

    def n_tokens_shown(self) -> int:
        """How many tokens have a part in it, or in markers around it."""
        return self._text.n_tokens_shown()


def _delta(events: Iterable[Event]) -> ChatDelta | None:
    from farthing.chat.output import CallArguments, CallStart, Content, Reasoning

    content, reasoning = "", ""
    calls: list[ToolCallDelta] = []
    for event in events:
        match event:
            case Content(text):
                content += text
            case Reasoning(text):
                reasoning += text
            case CallStart(index, call_id, name):
                calls.append(ToolCallDelta(index, call_id, FunctionCallDelta(name, "")))
            case CallArguments(index, text) if calls and calls[-1].index == index:
                last = calls[-1]
                arguments = last.function.arguments + text
                function = FunctionCallDelta(last.function.name, arguments)
                calls[-1] = ToolCallDelta(index, last.id, function)
            case CallArguments(index, text):
                calls.append(ToolCallDelta(index, None, FunctionCallDelta(None, text)))
    return ChatDelta(content, reasoning, tuple(calls)) or None
