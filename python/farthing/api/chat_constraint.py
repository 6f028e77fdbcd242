"""The grammar of an answer in a chat: of tool calls, of the content, or of both."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from farthing import _native
from farthing.api.chat import shown_tokens
from farthing.errors import RequestError

if TYPE_CHECKING:
    from farthing.api.constraint import Source
    from farthing.chat.format import Prompt
    from farthing.chat.tools import ToolFormat, ToolSet
    from farthing.tokenization import Tokenizer

logger = logging.getLogger("farthing")

_ANY_OBJECT = '{"type": "object"}'


def chat_constraint(
    tokenizer: Tokenizer, prompt: Prompt, source: Source | None, *, several: bool
) -> _native.Constraint | None:
    """What constrains the answer to a prompt; `source` is what its content must be.

    Calls are constrained from where they begin: their arguments are valid by the tools' schemas.
    `several` says whether there may be more than one call. Raises RequestError for what cannot be
    expressed in a tool that says `"strict": True`; any other tool then may have any arguments,
    with a warning.
    """
    vocabulary = tokenizer.for_grammars
    if prompt.form is not None and prompt.plan.tools is not None:
        calls = _Calls(tokenizer, prompt, prompt.form, prompt.plan.tools, several)
        return calls.constraint(_otherwise(source, vocabulary))
    if source is None:
        return None
    marker = prompt.form.content_marker if prompt.form is not None else ""
    triggers = [(marker, False, True)] if marker else []
    grammar = source.compile(vocabulary)
    return _native.Constraint(grammar, thinking=prompt.thinking, triggers=triggers)


def _otherwise(source: Source | None, vocabulary: _native.Vocabulary) -> str | None:
    """The schema of an answer without calls; None for any text."""
    if source is None:
        return None
    if source.kind not in ("json_schema", "json_object"):
        raise RequestError("with tools only JSON can be asked for: response_format or json_schema")
    source.compile(vocabulary)
    return source.text if isinstance(source.text, str) and source.text else _ANY_OBJECT


class _Calls:
    """The tools of a request as a grammar."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt: Prompt,
        form: ToolFormat,
        tools: ToolSet,
        several: bool,
    ) -> None:
        self._vocabulary = tokenizer.for_grammars
        self._special = {
            tokenizer.token_text(i): i for i in shown_tokens(tokenizer, prompt.markers)
        }
        self._prompt, self._form = prompt, form
        self._several = several and prompt.choice in ("auto", "required")
        self._tools = tools

    def constraint(self, otherwise: str | None) -> _native.Constraint:
        names = self._prompt.callable
        try:
            grammar, triggers = self._compiled(self._tools, names, otherwise)
        except RequestError:
            grammar, triggers = self._compiled(self._relaxed(names), names, otherwise)
        forced = self._prompt.opening is not None
        ends_early = self._form.ends_reasoning and bool(triggers)
        thinking = None if forced or ends_early else self._prompt.thinking
        return _native.Constraint(grammar, thinking=thinking, triggers=triggers)

    def _compiled(
        self, tools: ToolSet, names: list[str], otherwise: str | None
    ) -> tuple[_native.Grammar, list[tuple[str, bool, bool]]]:
        from farthing.chat.tools.grammar import call_grammar

        calls = call_grammar(
            self._form,
            tools,
            self._special,
            opening=self._prompt.opening,
            names=names,
            several=self._several,
            otherwise=otherwise if self._prompt.opening is None else None,
        )
        return self._vocabulary.lark(calls.lark, calls.schemas, calls.texts), calls.triggers

    def _relaxed(self, names: list[str]) -> ToolSet:
        """The tools without the schemas that cannot be expressed, where they may go."""
        schemas = dict(self._tools.schemas)
        for name in names:
            try:
                self._compiled(self._tools, [name], None)
            except RequestError as error:
                message = f"the parameters of tool {name!r}: {str(error).removeprefix('lark: ')}"
                if name in self._tools.strict:
                    raise RequestError(message) from None
                logger.warning("%s; its arguments may be anything", message)
                schemas[name] = {}
        return replace(self._tools, schemas=schemas)
