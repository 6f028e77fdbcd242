"""A chat template and how it is rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from farthing.chat.adapt import Forms
from farthing.errors import RequestError, UnsupportedModelError

if TYPE_CHECKING:
    from jinja2 import Template

    from farthing.tokenization import Tokenizer

CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The format that most models without a template of their own were trained on."""

_KEY = "tokenizer.chat_template"
_TOOL_USE = "tool_use"

_END = "\ue000end of the last message\ue001 "
"""Marks where the last message ends. The space at its end shows whether the template trims."""


class TemplateError(RequestError):
    """The template refuses the conversation, or cannot handle it."""


class ChatTemplate:
    """The Jinja template by which a model wants its conversations written.

    It is compiled when first used: a template that does not compile is an error of the first
    `render`, not of loading the model.
    """

    def __init__(
        self,
        source: str | None,
        bos_token: str = "",
        eos_token: str = "",
        now: datetime | None = None,
        *,
        tool_use: str | None = None,
    ) -> None:
        """`source` is the template, None for a model without one; then `render` says so.

        `bos_token` and `eos_token` are given to the template, `now` is its clock (default: the
        real one, local time). `tool_use` is the template for conversations with tools, if that is
        another one.
        """
        self.source = source
        self.bos_token = bos_token
        self.eos_token = eos_token
        self._now: Callable[[], datetime] = datetime.now if now is None else lambda: now
        self._tool_use = (
            None if tool_use is None else ChatTemplate(tool_use, bos_token, eos_token, now)
        )

    @classmethod
    def from_metadata(
        cls,
        metadata: Mapping[str, Any],
        tokenizer: Tokenizer,
        *,
        fallback: Literal["chatml"] | None = None,
    ) -> ChatTemplate:
        """The template of a GGUF file, with its BOS and EOS, and its template for tools if any.

        `fallback` names the format for a file without a template; by default there is none.
        """
        source = _text(metadata.get(_KEY))
        if source is None and fallback is not None:
            if fallback != "chatml":
                raise RequestError(f"fallback must be 'chatml' or None, not {fallback!r}")
            source = CHATML

        def spelled(token_id: int | None) -> str:
            return "" if token_id is None else tokenizer.token_text(token_id)

        return cls(
            source,
            bos_token=spelled(tokenizer.bos_id),
            eos_token=spelled(tokenizer.eos_id),
            tool_use=_text(metadata.get(f"{_KEY}.{_TOOL_USE}")),
        )

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        documents: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> str:
        """The prompt for a conversation.

        `messages` and `tools` are as in OpenAI's API. Keys of a message whose value is None are
        dropped, and `reasoning_content` is also given as `thinking`. A conversation that the
        template cannot handle is tried again as `fitted` gives it. `add_generation_prompt` ends
        the prompt where the assistant begins to speak; `continue_final_message` ends it where the
        last message ends, so that the model goes on with that message, and takes precedence.
        `kwargs` are further variables of the template, such as `enable_thinking`.

        Raises `TemplateError` when the template refuses (its own message) or fails, and
        `UnsupportedModelError` when there is no template or it does not compile.
        """
        if (template := self.for_tools(tools)) is not self:
            return template.render(
                messages, tools, add_generation_prompt, continue_final_message, documents, **kwargs
            )
        given = [_given(message, place) for place, message in enumerate(messages)]
        variables = {
            "tools": list(tools) if tools else None,
            "documents": list(documents) if documents else None,
            "add_generation_prompt": add_generation_prompt and not continue_final_message,
            **kwargs,
        }
        end = _mark_end if continue_final_message else list
        try:
            text = self._run({**variables, "messages": end(given)})
        except TemplateError as refusal:
            fitted = self.fitted(given)
            if tools and fitted == given:
                raise
            variables = {**variables, "tools": list(tools or ()), "messages": end(fitted)}
            try:
                text = self._run(variables)
            except TemplateError:
                raise refusal from None
        return _cut_at_end(text) if continue_final_message else text

    def fitted(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The messages in the forms that this template understands best.

        Templates differ in whether arguments of tool calls are mappings or JSON text, whether
        content may be a list of text parts, how a message without content looks, and the like.
        """
        return self.forms.fit(messages)

    @cached_property
    def forms(self) -> Forms:
        """What this template understands, found by trying it."""
        return Forms(self.source or "", self._render_probe)

    def for_tools(self, tools: object) -> ChatTemplate:
        """The template that renders a conversation with or without tools."""
        return self._tool_use if tools and self._tool_use is not None else self

    def _render_probe(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None
    ) -> str:
        return self._run(
            {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": True}
        )

    def _run(self, variables: dict[str, Any]) -> str:
        from farthing.chat.environment import RaisedByTemplateError, guarded

        template = self._compiled
        variables = {"bos_token": self.bos_token, "eos_token": self.eos_token, **variables}
        try:
            return template.render(guarded(variables))
        except RaisedByTemplateError as error:
            raise TemplateError(str(error)) from None
        except Exception as error:
            raise TemplateError(
                "the chat template cannot handle this conversation: "
                f"{type(error).__name__}: {error}"
            ) from error

    @cached_property
    def _compiled(self) -> Template:
        from jinja2 import TemplateSyntaxError

        from farthing.chat.environment import compile_template

        if self.source is None:
            raise UnsupportedModelError(
                f"the model's file has no chat template ({_KEY}); give one, or ask for a fallback"
            )
        try:
            return compile_template(self.source, self._now)
        except TemplateSyntaxError as error:
            raise UnsupportedModelError(
                f"the model's chat template does not compile, line {error.lineno}: {error.message}"
            ) from error
        except Exception as error:  # Python's own limits, such as depth and number of digits
            raise UnsupportedModelError(
                f"the model's chat template does not compile: {type(error).__name__}: {error}"
            ) from error


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _given(message: Mapping[str, Any], place: int) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise RequestError(f"messages[{place}] is a {type(message).__name__}, not a mapping")
    given = {key: value for key, value in message.items() if value is not None}
    if "reasoning_content" in given:
        given.setdefault("thinking", given["reasoning_content"])
    return given


def _mark_end(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with `_END` behind the last text of the last one."""
    content = messages[-1].get("content") if messages else None
    if isinstance(content, str):
        return [*messages[:-1], {**messages[-1], "content": content + _END}]
    parts = content if isinstance(content, list) else []
    for place in reversed(range(len(parts))):
        part = parts[place]
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            marked = [*parts[:place], {**part, "text": part["text"] + _END}, *parts[place + 1 :]]
            return [*messages[:-1], {**messages[-1], "content": marked}]
    raise RequestError("continue_final_message needs a last message with text in its content")


def _cut_at_end(text: str) -> str:
    before, mark, after = text.rpartition(_END.rstrip())
    if not mark:
        raise TemplateError("the chat template leaves out the last message: it cannot be continued")
    return before if after.startswith(" ") else before.rstrip()
