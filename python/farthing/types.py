"""What the library returns: plain values that import nothing of the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

FinishReason: TypeAlias = Literal["stop", "length", "cancelled"]
"""Why a generation ended: the model or a stop string, max_tokens or a full context, the caller."""

Message: TypeAlias = Mapping[str, Any]
"""A chat message as in OpenAI's API: `role`, `content` and what the chat template knows."""


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
class Completion:
    """A finished generation."""

    text: str
    tokens: list[int]
    """The tokens whose text is in `text`: without the end-of-text token and a stop string."""
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: list[TokenLogprob] | None = None
    """One entry per item of `tokens`; None unless `logprobs` was asked for."""

    @property
    def message(self) -> dict[str, Any]:
        """The completion as a chat message of the assistant."""
        return {"role": "assistant", "content": self.text}


def _rate(count: int, milliseconds: float) -> float:
    return count * 1e3 / milliseconds if count > 0 and milliseconds > 0 else 0.0
