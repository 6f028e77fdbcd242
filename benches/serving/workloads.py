"""What is asked of a program that serves. Tokens are random, the same for every program."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from backends import Answer, Backend

MARGIN = 1000
"""Tokens at both ends of a vocabulary that are not used: bytes and special tokens."""


class Tokens:
    """Random texts."""

    def __init__(self, n_vocab: int, seed: int = 0) -> None:
        self._random = random.Random(seed)
        margin = min(MARGIN, n_vocab // 4)
        self._range = (margin, n_vocab - margin)

    def text(self, n: int) -> list[int]:
        """So many tokens."""
        return [self._random.randrange(*self._range) for _ in range(n)]


async def streams(
    backend: Backend, counts: Sequence[int], n_prompt: int, n_gen: int
) -> dict[str, float]:
    """Tokens a second of several answers side by side, after short prompts that all differ."""
    tokens = Tokens(backend.n_vocab)
    # Weights may be rearranged at their second use.
    for _ in range(2):
        await backend.answer(tokens.text(n_prompt), 4)
    rates = {}
    for count in counts:
        prompts = [tokens.text(n_prompt) for _ in range(count)]
        start = time.perf_counter()
        answers = await asyncio.gather(*(backend.answer(prompt, n_gen) for prompt in prompts))
        seconds = time.perf_counter() - start
        _check(answers, n_gen)
        rates[f"tg{n_gen} x {count}"] = count * n_gen / seconds
    return rates


async def agents(
    backend: Backend, n_agents: int, n_turns: int, sizes: tuple[int, int, int]
) -> dict[str, float]:
    """Seconds waited in conversations that grow from the first size to the second.

    All agents have the same tools, three quarters of their first prompt. A turn adds the answer, of
    the third size, and what the tools gave. The agents go on at the same time, each as soon as it
    has its answer.
    """
    first, longest, n_gen = sizes
    tokens = Tokens(backend.n_vocab)
    for _ in range(2):
        await backend.answer(tokens.text(64), 4)
    tools = tokens.text(first * 3 // 4)
    texts = [tools + tokens.text(first - len(tools)) for _ in range(n_agents)]
    growth = (longest - first) // max(n_turns - 1, 1) - n_gen
    results = [[tokens.text(max(growth, 1)) for _ in range(n_turns)] for _ in range(n_agents)]

    async def converse(agent: int) -> list[Answer]:
        text, answers = texts[agent], []
        for turn in range(n_turns):
            answer = await backend.answer(text, n_gen)
            answers.append(answer)
            text = text + answer.tokens + results[agent][turn]
        return answers

    conversations = await asyncio.gather(*(converse(agent) for agent in range(n_agents)))
    answers = [answer for conversation in conversations for answer in conversation]
    _check(answers, n_gen)
    name = f"{n_agents} agents, {n_turns} turns to {longest}"
    return {
        f"{name}: first tokens": sum(answer.first for answer in answers),
        f"{name}: whole answers": sum(answer.last for answer in answers),
    }


def _check(answers: Sequence[Answer], n_gen: int) -> None:
    for answer in answers:
        if len(answer.tokens) != n_gen:
            raise SystemExit(f"an answer has {len(answer.tokens)} tokens, not {n_gen}")
