"""Documents to train on: conversations about the little world, and plain stories.

A document is drawn from a seeded generator and rendered with the chat template that goes into the
file, so that the model sees in training exactly what it is given later.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from jinja2.sandbox import ImmutableSandboxedEnvironment

from farthing.demo.training import world as w
from farthing.demo.training.questions import QA, QUESTIONS, TOLD
from farthing.demo.training.smalltalk import (
    WHO,
    about_me,
    continue_story,
    no_weather,
    poem,
    story_request,
    unknown,
)
from farthing.demo.training.stories import story
from farthing.demo.training.structured import Message, json_extraction, json_list, tool_conversation
from farthing.demo.training.world import article, capital

TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")
HELD_OUT = 40  # one question in so many never occurs in training
SYSTEM_PLAIN = (
    "You are a helpful assistant.", "You are a friendly assistant.", "You are a small model.",
    "Be kind.",
    "Answer the question.", "You are a helpful AI assistant. Be brief.", "Help the user.",
    "Be polite and short.",
    "You are the Farthing demo model.", "You answer questions.", "You are a teacher.",
    "Use simple words.",
)  # fmt: skip
ONE_WORD = (
    "Answer in one word.",
    "Answer with one word.",
    "Only answer with one word.",
    "Reply with one word only.",
)
AS_JSON = ("Answer in JSON.", "Reply in JSON.", "Always answer in JSON.", "Answer only with JSON.")
PIRATE = (
    "Talk like a pirate.",
    "You are a pirate.",
    "Speak like a pirate.",
    "Answer like a pirate.",
)
ASK_WHO = (
    "Who are you?",
    "What is your name?",
    "What are you?",
    "Tell me about yourself.",
    "who are you",
)


class Document(NamedTuple):
    """`text` as rendered; `kind` names the task that the last answer belongs to."""

    text: str
    kind: str


def environment() -> ImmutableSandboxedEnvironment:
    """The jinja2 settings that chat templates are written for."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda x: json.dumps(x, ensure_ascii=False)
    return env


_TEMPLATE = environment().from_string(TEMPLATE)


def render(
    messages: list[Message],
    tools: list[dict[str, Any]] | None = None,
    add_generation_prompt: bool = False,
) -> str:
    """The conversation as the model reads it."""
    return _TEMPLATE.render(
        messages=messages, tools=tools, add_generation_prompt=add_generation_prompt
    )


def held_out(question: str) -> bool:
    """Whether a question is kept for the evaluation: a hash, so that it needs no list."""
    letters = re.sub(r"[^a-z0-9]", "", question.lower())
    return zlib.crc32(letters.encode()) % HELD_OUT == 0


def question(rng: Random, kind: str | None = None, keep_out: bool = True) -> tuple[str, QA]:
    """(task, question) of the world's facts; `keep_out`: never a held-out one, else only those."""
    names = list(QUESTIONS)
    while True:
        task = kind or rng.choices(names, [weight for weight, _ in QUESTIONS.values()])[0]
        qa = QUESTIONS[task][1](rng)
        if held_out(qa.question) != keep_out:
            return task, qa


def sloppy(rng: Random, text: str) -> str:
    """The question as people type it: no capital, no full stop, a please."""
    if rng.random() < 0.08:
        text = (
            rng.choice(("Please tell me: ", "Hi! ", "Hello, ", "Tell me: ", "Question: ", "And "))
            + text
        )
    if rng.random() < 0.05:
        text = text.rstrip(".?") + rng.choice((", please.", " please"))
    if rng.random() < 0.15:
        text = text.rstrip(".?!")
    if rng.random() < 0.15:
        text = text.lower() if rng.random() < 0.5 else text[:1].lower() + text[1:]
    return text


def _turn(rng: Random) -> tuple[str, list[tuple[str, str]]]:
    """(task, exchanges) of one topic; a few topics take two exchanges."""
    pick = rng.random()
    if pick < 0.66:
        task, qa = question(rng)
        if task in TOLD and rng.random() < 0.8:
            return task, _several(rng, task)
        return task, [(sloppy(rng, qa.question), qa.answer)]
    if pick < 0.71:
        qa = about_me(rng)
        return "about_me", [(sloppy(rng, qa.question), qa.answer)]
    if pick < 0.76:
        qa = unknown(rng) if rng.random() < 0.85 else no_weather(rng)
        return "unknown", [(sloppy(rng, qa.question), qa.answer)]
    if pick < 0.80:
        request, text, after = story_request(rng)
        exchanges = [(sloppy(rng, request), text)]
        if rng.random() < 0.3:
            exchanges.append(rng.choice(after)[:2])
        return "story", exchanges
    if pick < 0.815:
        return "continue", [continue_story(rng)]
    if pick < 0.83:
        request, text = poem(rng)
        return "poem", [(sloppy(rng, request), text)]
    if pick < 0.93:
        while held_out((qa := json_extraction(rng)).question):
            pass
        return "json", [(qa.question, qa.answer)]
    if pick < 0.95:
        qa = json_list(rng)
        return "json_list", [(sloppy(rng, qa.question), qa.answer)]
    return "memory", _memory(rng)


def _several(rng: Random, task: str) -> list[tuple[str, str]]:
    """Something told, and several questions about it one after the other."""
    while True:
        text, asked = TOLD[task](rng)
        chosen = rng.sample(asked, rng.randint(1, 4))
        first = f"{text} {chosen[0].question}"
        if not held_out(first):
            break
    questions = [first, *(qa.question for qa in chosen[1:])]
    return [(sloppy(rng, q), qa.answer) for q, qa in zip(questions, chosen, strict=True)]


def _memory(rng: Random) -> list[tuple[str, str]]:
    """Something told, perhaps another exchange, and the question about it."""
    name = rng.choice(w.CHILDREN)
    c, thing, n = rng.choice(w.COLOURS), rng.choice(w.THINGS), rng.randint(3, 20)
    pet = rng.choice(list(w.ANIMALS))
    told, reply, asked, answer = rng.choice(
        (
            (rng.choice((f"My name is {name}.", f"I am {name}.", f"Hello, I am {name}.",
            f"Hi, my name is {name}.")),
             f"Nice to meet you, {name}!",
             rng.choice(("What is my name?", "Who am I?", "Do you know my name?",
             "What's my name?")),
             f"Your name is {name}."),
            (f"I have {article(c)} {thing}.", f"That is a nice {thing}!",
            f"What colour is my {thing}?",
             f"Your {thing} is {c}."),
            (f"I am {n} years old.", "That is a good age!", "How old am I?",
            f"You are {n} years old."),
            (rng.choice((f"I have {article(pet)}.",
            f"My pet is {article(pet)}.")), f"I like {article(pet)} too!",
             rng.choice(("What is my pet?",
             "Which animal do I have?")), f"You have {article(pet)}."),
            (rng.choice((f"I like {c}.",
            f"My favourite colour is {c}.")), f"{capital(c)} is a nice colour!",
             "What is my favourite colour?", f"Your favourite colour is {c}."),
        )
    )  # fmt: skip
    between = []
    if rng.random() < 0.4:
        _, qa = question(rng)
        between = [(sloppy(rng, qa.question), qa.answer)]
    return [(sloppy(rng, told), reply), *between, (sloppy(rng, asked), answer)]


def styled(rng: Random) -> tuple[str, list[Message]]:
    """A system prompt (or a user's first words) that changes how the answer looks."""
    pick = rng.random()
    if pick < 0.25:
        kind, name = rng.choice(list(w.ANIMALS)), rng.choice(w.PETS_HE + w.PETS_SHE)
        nature = rng.choice(("friendly", "kind", "clever", "funny", "little"))
        system = rng.choice(
            (
                f"You are {name}, a {nature} {kind}.",
                f"Your name is {name}. You are a {nature} {kind}.",
            )
        )
        if rng.random() < 0.6:
            q, a = sloppy(rng, rng.choice(ASK_WHO)), f"I am {name}, a {nature} {kind}."
        else:
            _, qa = question(rng)
            q, a = sloppy(rng, qa.question), qa.answer
        return "persona", _messages([(q, a)], system)
    _, qa = question(rng)
    q = sloppy(rng, qa.question)
    if pick < 0.5:
        if rng.random() < 0.2:
            q, qa = rng.choice(ASK_WHO), QA("", WHO)
        return "pirate", _messages([(q, f"Arr! {qa.answer}")], rng.choice(PIRATE))
    while qa.short is None:
        _, qa = question(rng)
        q = sloppy(rng, qa.question)
    if pick < 0.75:
        task, ask, a = "one_word", rng.choice(ONE_WORD), f"{capital(str(qa.short))}."
    else:
        task, ask, a = "as_json", rng.choice(AS_JSON), json.dumps({"answer": qa.short})
    if rng.random() < 0.6:
        return task, _messages([(q, a)], ask)
    return task, _messages([(rng.choice((f"{q} {ask}", f"{ask} {q}")), a)])


def _messages(exchanges: list[tuple[str, str]], system: str | None = None) -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for asked, answer in exchanges:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return messages


def document(rng: Random, turns: int) -> Document:
    """One document; a conversation has at most `turns` topics."""
    pick = rng.random()
    if pick < 0.04:
        return Document(f"{story(rng).text}<|im_end|>", "plain_story")
    if pick < 0.14:
        task, messages = styled(rng)
        return Document(render(messages), task)
    if pick < 0.30:
        tools, messages = tool_conversation(rng, question(rng)[1])
        if rng.random() < 0.15:
            messages.insert(0, {"role": "system", "content": rng.choice(SYSTEM_PLAIN)})
        return Document(render(messages, tools), "tool")
    exchanges: list[tuple[str, str]] = []
    task = ""
    for _ in range(rng.randint(1, turns)):
        task, more = _turn(rng)
        exchanges += more
    system = rng.choice(SYSTEM_PLAIN) if rng.random() < 0.2 else None
    return Document(render(_messages(exchanges, system)), task)


def documents(seed: int, turns: int = 3) -> Iterator[Document]:
    """Documents without end; the same seed gives the same ones."""
    rng = Random(seed)
    while True:
        yield document(rng, turns)
