"""The grammar of an answer in a chat: of tool calls, of the content, or of both."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from farthing import _native
from farthing.api.chat import shown_tokens
from farthing.errors import RequestError

if TYPE_CHECKING:
    from farthing.api.constraint import Source
    from farthing.chat.format import Prompt
    from farthing.tokenization import Tokenizer

logger = logging.getLogger("farthing")

_ANY_OBJECT = '{"type": "object"}'


def chat_constraint(
    tokenizer: Tokenizer, prompt: Prompt, source: Source | None, *, several: bool
) -> _native.Constraint | None:
    """What constrains the answer to a prompt; `source` is what its content must be.

    Calls are constrained from where they begin; the arguments of tools that must be called or are
    strict are valid by their schemas, those of others as far as the schemas can be expressed.
    `several` says whether there may be more than one call. Raises RequestError for what cannot be
    expressed.
    """
    vocabulary = tokenizer.for_grammars
    if prompt.plan.tools is None:
        if source is None:
            return None
        marker = prompt.form.content_marker if prompt.form is not None else ""
        triggers = [(marker, False, True)] if marker else []
        grammar = source.compile(vocabulary)
        return _native.Constraint(grammar, thinking=prompt.thinking, triggers=triggers)
    if source is not None and source.kind not in ("json_schema", "json_object"):
        raise RequestError("with tools only JSON can be asked for: response_format or json_schema")
    otherwise = None
    if source is not None:
        source.compile(vocabulary)
        otherwise = source.text if isinstance(source.text, str) and source.text else _ANY_OBJECT
    strict = prompt.plan.tools.strict
    forced = prompt.opening is not None

    def admit(tool: str, schema: str) -> str:
        try:
            vocabulary.json_schema(schema)
        except RequestError as error:
            if forced or tool in strict:
                raise RequestError(f"the parameters of tool {tool!r}: {error}") from None
            logger.warning("tool %r: arguments are not held to their schema: %s", tool, error)
            return _ANY_OBJECT
        return schema

    special = {tokenizer.token_text(i): i for i in shown_tokens(tokenizer, prompt.markers)}
    calls = prompt.calls(special, admit, several=several, otherwise=otherwise)
    if calls is None:
        if source is not None:
            raise RequestError(
                "response_format with tools is not supported for this model's format"
            )
        return None
    ends_early = prompt.form is not None and prompt.form.ends_reasoning and calls.triggers
    thinking = None if forced or ends_early else prompt.thinking
    grammar = vocabulary.lark(calls.lark, calls.schemas)
    return _native.Constraint(grammar, thinking=thinking, triggers=calls.triggers)
