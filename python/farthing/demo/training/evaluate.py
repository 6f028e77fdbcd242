"""Asks the quantized file questions it has never seen and counts the right answers.

    python -m farthing.demo.training.evaluate demo.gguf [--count 40] [--samples]

The forward pass is plain numpy over the dequantized tensors, independent of the package.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import gguf
import numpy as np

from farthing.demo.training.corpus import held_out, question, render
from farthing.demo.training.questions import QUESTIONS
from farthing.demo.training.smalltalk import about_me, unknown
from farthing.demo.training.structured import json_extraction, tool_conversation
from farthing.demo.training.vocabulary import EOS, Encoder, Token

SEED = 3


class Numpy:
    """A llama decoder over a GGUF file, float32, one token at a time."""

    def __init__(self, path: Path) -> None:
        reader = gguf.GGUFReader(path)
        self.w: dict[str, np.ndarray] = {
            t.name.removesuffix(".weight"): gguf.dequantize(t.data, t.tensor_type)
            for t in reader.tensors
        }
        value = {name: field.contents() for name, field in reader.fields.items()}
        self.layers = value["llama.block_count"]
        self.heads = value["llama.attention.head_count"]
        self.kv_heads = value["llama.attention.head_count_kv"]
        self.head = value["llama.embedding_length"] // self.heads
        self.epsilon = value["llama.attention.layer_norm_rms_epsilon"]
        self.context = value["llama.context_length"]
        self.rates = value["llama.rope.freq_base"] ** (-np.arange(0, self.head, 2) / self.head)
        rows = zip(
            *(value[f"tokenizer.ggml.{k}"] for k in ("tokens", "scores", "token_type")), strict=True
        )
        self.encoder = Encoder([Token(*row) for row in rows])

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        out: np.ndarray = (
            x / np.sqrt(np.mean(x * x, -1, keepdims=True) + self.epsilon) * self.w[name]
        )
        return out

    def _rope(self, x: np.ndarray, position: np.ndarray) -> np.ndarray:
        angle = np.outer(position, self.rates)[:, None, :]
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = (
            even * np.cos(angle) - odd * np.sin(angle),
            even * np.sin(angle) + odd * np.cos(angle),
        )
        out: np.ndarray = np.stack(turned, -1).reshape(x.shape)
        return out

    def logits(self, ids: list[int], cache: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Logits (len(ids), vocabulary) after what `cache` holds, which grows by these tokens."""
        past = len(cache[0][0]) if cache else 0
        cache += [(np.zeros((0, self.kv_heads, self.head)),) * 2] * (self.layers - len(cache))
        position = np.arange(past, past + len(ids))
        x = self.w["token_embd"][ids]
        for i in range(self.layers):
            get = partial("blk.{}.{}".format, i)
            h = self._norm(x, get("attn_norm"))
            q, k, v = (
                (h @ self.w[get(f"attn_{n}")].T).reshape(len(ids), -1, self.head) for n in "qkv"
            )
            q, k = self._rope(q, position), self._rope(k, position)
            keys, values = (np.concatenate(pair) for pair in zip(cache[i], (k, v), strict=True))
            cache[i] = keys, values
            shared = self.heads // self.kv_heads
            scores = np.einsum("qhd,shd->hqs", q, keys.repeat(shared, 1)) * self.head**-0.5
            scores += np.where(np.arange(len(keys)) <= position[:, None], 0.0, -np.inf)
            p = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = np.einsum(
                "hqs,shd->qhd", p / p.sum(-1, keepdims=True), values.repeat(shared, 1)
            )
            x = x + mixed.reshape(len(ids), -1) @ self.w[get("attn_output")].T
            h = self._norm(x, get("ffn_norm"))
            gate = h @ self.w[get("ffn_gate")].T
            x = (
                x
                + (gate / (1 + np.exp(-gate)) * (h @ self.w[get("ffn_up")].T))
                @ self.w[get("ffn_down")].T
            )
        out: np.ndarray = self._norm(x, "output_norm") @ self.w["token_embd"].T
        return out

    def complete(self, prompt: str, limit: int = 160) -> str:
        """The greedy continuation of `prompt` up to the end of the message."""
        ids = self.encoder.encode(prompt)
        cache: list[tuple[np.ndarray, np.ndarray]] = []
        out: list[int] = []
        end = self.encoder.ids[EOS]
        while len(out) < limit:
            token = int(self.logits(ids, cache)[-1].argmax())
            if token == end:
                break
            out.append(token)
            ids = [token]
        return self.encoder.decode(out)

    def chat(
        self, *messages: str, tools: list[dict[str, Any]] | None = None, system: str | None = None
    ) -> str:
        """The answer to user and assistant messages in turn."""
        turns = [
            {"role": ("user", "assistant")[i % 2], "content": m} for i, m in enumerate(messages)
        ]
        lead = [{"role": "system", "content": system}] if system else []
        return self.complete(render([*lead, *turns], tools, add_generation_prompt=True))


def ask(
    model: Numpy, name: str, count: int, draw: Callable[[], tuple[str, str]]
) -> tuple[int, int]:
    """Prints how many of `count` drawn (prompt, answer) come out exactly; (right, asked)."""
    right, wrong = 0, []
    for _ in range(count):
        prompt, answer = draw()
        said = model.complete(prompt)
        right += said == answer
        if said != answer:
            wrong.append(f"    {re.sub(r'<[^>]*>', '', prompt)!r} -> {said!r}, not {answer!r}")
    print(f"{name:14} {right}/{count}", *wrong[:3], sep="\n", flush=True)
    return right, count


def exact(model: Numpy, count: int) -> None:
    rng = Random(SEED)

    def fact(task: str) -> tuple[str, str]:
        _, qa = question(rng, task, keep_out=False)
        return render([{"role": "user", "content": qa.question}], None, True), qa.answer

    def extraction() -> tuple[str, str]:
        while not held_out((qa := json_extraction(rng)).question):
            pass
        return render([{"role": "user", "content": qa.question}], None, True), qa.answer

    def tool(answer: bool) -> tuple[str, str]:
        while True:
            tools, messages = tool_conversation(rng, question(rng)[1])
            if len(messages) > 2 or (not answer and "tool_calls" in messages[-1]):
                cut = len(messages) - 1 if answer else 1
                prompt = render(messages[:cut], tools, True)
                return prompt, render(messages[: cut + 1], tools)[len(prompt) :].removesuffix(
                    "<|im_end|>\n"
                )

    def talk(draw: Callable[[Random], Any]) -> tuple[str, str]:
        qa = draw(rng)
        return render([{"role": "user", "content": qa.question}], None, True), qa.answer

    results = [ask(model, task, count, partial(fact, task)) for task in QUESTIONS]
    results.append(ask(model, "json", count, extraction))
    results.append(ask(model, "tool_call", count, partial(tool, False)))
    results.append(ask(model, "tool_answer", count, partial(tool, True)))
    results.append(ask(model, "about_me", count, partial(talk, about_me)))
    results.append(ask(model, "unknown", count, partial(talk, unknown)))
    right, asked = (sum(column) for column in zip(*results, strict=True))
    print(f"all            {right}/{asked} = {100 * right / asked:.1f} %")


def valid_json(model: Numpy, count: int) -> None:
    """Prints how many tool calls and JSON answers can be parsed."""
    rng = Random(SEED + 1)
    good = 0
    for _ in range(count):
        if rng.random() < 0.5:
            text = model.chat(json_extraction(rng).question)
        else:
            while "tool_calls" not in (talk := tool_conversation(rng, question(rng)[1]))[1][1]:
                pass
            text = model.complete(render(talk[1][:1], talk[0], True))
            text = text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")
        parts = text.split("\n</tool_call>\n<tool_call>\n")
        try:
            good += all(isinstance(json.loads(part), dict) for part in parts)
        except ValueError:
            print("    not JSON:", text)
    print(f"valid JSON     {good}/{count}")


SAMPLES = (
    "Who are you?",
    "hello",
    "What can you do?",
    "What is the capital of France?",
    "What is 7 + 5?",
    "Tom has 5 apples and eats 2. How many apples does he have now?",
    "Tell me a story about a fox named Pip.",
    "Tell me a story about a girl called Mia.",
    "Write a poem about a frog.",
    "What is the opposite of hot?",
    "Count to 12.",
    "Name three fruits.",
    "what sound does a cow make",
    "What do cats eat?",
    "Can an owl fly?",
    "Tom has a red kite. Anna has a blue ball. Who has the ball?",
    "Anna is 7 years old. She lives in Paris. Give the name, age and city as JSON.",
    "Explain quantum computing.",
    "Why is the sky so big?",
)


def samples(model: Numpy) -> None:
    for message in SAMPLES:
        print(f"> {message}\n{model.chat(message)}\n")
    who = "You are Coco, a clever owl."
    print(f"> system: {who}\n> Who are you?\n{model.chat('Who are you?', system=who)}\n")
    talk = "My name is Ben.", "Nice to meet you, Ben!", "What is my name?"
    print("\n".join(f"> {x}" for x in talk), model.chat(*talk), sep="\n")
    opening = "Once upon a time"
    print(f"\n{opening} ...{model.complete(opening)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--samples", action="store_true")
    args = parser.parse_args()
    model = Numpy(args.file)
    if args.samples:
        samples(model)
    else:
        exact(model, args.count)
        valid_json(model, 5 * args.count)


if __name__ == "__main__":
    main()
