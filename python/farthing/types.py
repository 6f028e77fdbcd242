"""What the library returns: plain values that import nothing of the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "timeout", "cancelled"]
"""Why a generation ended: the model or a stop string, max_tokens or a full context, the model
after it called tools, its `timeout`, the caller."""

Pooling: TypeAlias = Literal["none", "mean", "cls", "last", "rank"]
"""What becomes of the vectors of a text's tokens: nothing, their mean, the first, the last, a
reranker's scores."""

Message: TypeAlias = Mapping[str, Any]
"""A chat message as in OpenAI's API: `role`, `content` and what the chat template knows."""


LogitsProcessor: TypeAlias = (
    "Callable[[npt.NDArray[np.int64], npt.NDArray[np.float32]], npt.NDArray[np.float32]]"
)
"""Gets the ids of prompt and answer so far, `[n]`, and the next token's logits, `[n_vocab]`; gives
the logits to use instead, which may be the same array."""


@dataclass(frozen=True, slots=True)
class PromptTokensDetails:
    """What became of the prompt."""

    cached_tokens: int
    """Prompt tokens that an earlier request had computed already."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a generation took, named as in OpenAI's API."""

    prompt_tokens: int
    completion_tokens: int
    """Tokens generated, those of a stop string among them, the end-of-text token not."""
    prompt_tokens_details: PromptTokensDetails

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, named as in llama.cpp's server; times in milliseconds.

    Measured by the engine; for a generation that the caller cancelled, by the caller's clock.
    """

    cache_n: int
    """Prompt tokens taken from the cache."""
    prompt_n: int
    """Prompt tokens computed."""
    prompt_ms: float
    """From the start of the request's computation to its first token."""
    predicted_n: int
    """Tokens chosen, the end-of-text token among them."""
    predicted_ms: float
    """From the first token to the end."""
    draft_n: int = 0
    """Tokens that were guessed and computed along."""
    draft_n_accepted: int = 0
    """Those of them that were right."""

    @property
    def prompt_per_second(self) -> float:
        """Prompt tokens computed a second, 0 when none were."""
        return _rate(self.prompt_n, self.prompt_ms)

    @property
    def predicted_per_second(self) -> float:
        """Tokens generated a second after the first, 0 when there was at most one."""
        return _rate(self.predicted_n - 1, self.predicted_ms)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability before sampling changed it."""

    token: int
    text: str
    logprob: float
    top: tuple[TokenLogprob, ...] = ()
    """The most probable tokens at this place, best first; their own `top` is empty."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """Which function a model calls."""

    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call, as in OpenAI's API."""

    id: str
    function: FunctionCall
    complete: bool = True
    """False when the text ended within the call, or its arguments are no valid JSON object."""


@dataclass(frozen=True, slots=True)
class FunctionCallDelta:
    """A piece of a function call."""

    name: str | None
    """With a call's first piece, else None."""
    arguments: str
    """To be appended to the arguments so far."""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call, as in OpenAI's API."""

    index: int
    """Which call of the message, counted from 0."""
    id: str | None
    """With a call's first piece, else None."""
    function: FunctionCallDelta


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of a text with its tokens."""

    text: str = ""
    tokens: tuple[int, ...] = ()
    """The tokens that came to be handed out with it; all deltas' make up the completion's."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """One entry per item of `tokens`; None unless `logprobs` was asked for."""


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """A piece of the assistant's message; empty texts and tuples where there is nothing new."""

    content: str = ""
    reasoning_content: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    tokens: tuple[int, ...] = ()
    """As in `TextDelta`; those of markers come with the next piece, or alone at the end, if
    `logprobs` was asked for."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """As in `TextDelta`."""

    def __bool__(self) -> bool:
        """Whether the message goes on with it."""
        return bool(self.content or self.reasoning_content or self.tool_calls)


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """How well a document answers a query, named as in Jina's and Cohere's APIs."""

    index: int
    """Its place among the documents given."""
    relevance_score: float
    """The classifier's first score, as the model gives it: more is better, the range is its own."""
    document: str


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished generation."""

    text: str
    """In a chat the content of the answer, without reasoning and tool calls."""
    tokens: list[int]
    """The tokens handed out: without the end-of-text token and a stop string."""
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: list[TokenLogprob] | None = None
    """One entry per item of `tokens`; None unless `logprobs` was asked for."""
    reasoning_content: str | None = None
    """What the model thought in a chat, if it did."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The tools that the model calls in a chat."""
    others: tuple[Completion, ...] = ()
    """The further answers where more than one was asked for by `n`."""
    context_shifted: int = 0
    """Tokens thrown away when the context was full: more than 0 with `context_shift` alone."""

    @property
    def choices(self) -> tuple[Completion, ...]:
        """All answers to the prompt: this one and the others; each has its own usage."""
        return (self, *self.others)

    @property
    def message(self) -> dict[str, Any]:
        """The completion as a chat message of the assistant, as in OpenAI's API."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.reasoning_content is not None:
            message["reasoning_content"] = self.reasoning_content
        if self.tool_calls:
            message["content"] = self.text or None
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": call.function.arguments,
                    },
                }
                for call in self.tool_calls
            ]
        return message


def _rate(count: int, milliseconds: float) -> float:
    return count * 1e3 / milliseconds if count > 0 and milliseconds > 0 else 0.0
