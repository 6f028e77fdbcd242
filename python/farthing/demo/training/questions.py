"""Questions about the little world with their one right answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from farthing.demo.training import world as w
from farthing.demo.training.world import article, capital, listing, plural


class QA(NamedTuple):
    """`short` is the bare answer, for one-word and JSON replies; None where there is none."""

    question: str
    answer: str
    short: str | int | bool | None = None


def animal_fact(rng: Random) -> QA:
    name, x = rng.choice(list(w.ANIMALS.items()))
    a, the, many = article(name), f"the {name}", plural(name)
    ask = rng.randrange(6)
    if ask == 0:
        q = rng.choice(
            (f"What does {a} say?", f"What sound does {a} make?", f"Which sound does {the} make?",
             f"How does {a} sound?", f"What noise does {a} make?", f"What do {many} say?",
             f"What sound do {many} make?")
        )  # fmt: skip
        return QA(q, f"{capital(a)} says {x.sound}.", x.sound)
    if ask == 1:
        q = rng.choice(
            (f"Where does {a} live?", f"Where do you find {a}?", f"Where is the home of {a}?",
             f"Where does {the} sleep?", f"What is the home of {a}?", f"Where do {many} live?")
        )  # fmt: skip
        return QA(q, f"{capital(a)} lives {x.home}.", x.home)
    if ask == 2:
        q = rng.choice(
            (f"What does {a} eat?", f"What do you feed {a}?", f"What does {the} like to eat?",
             f"What food does {a} like?", f"What is the food of {a}?", f"What do {many} eat?",
             f"What do {many} like to eat?")
        )  # fmt: skip
        return QA(q, f"{capital(a)} eats {x.food}.", x.food)
    if ask == 3:
        q = rng.choice(
            (f"How many legs does {a} have?", f"How many legs has {a}?",
             f"How many legs are on {a}?", f"Count the legs of {a}.",
             f"How many legs do {many} have?")
        )  # fmt: skip
        return QA(q, f"{capital(a)} has {x.legs if x.legs else 'no'} legs.", x.legs)
    if ask == 4:
        q = rng.choice(
            (f"What is a baby {name} called?", f"What do you call a baby {name}?",
             f"What is the name for a young {name}?", f"What is the baby of {a} called?")
        )  # fmt: skip
        return QA(q, f"A baby {name} is called {article(x.baby)}.", x.baby)
    skill, can = rng.choice((("fly", x.flies), ("swim", x.swims)))
    q = rng.choice(
        (
            f"Can {a} {skill}?",
            f"Is {a} able to {skill}?",
            f"Does {a} {skill}?",
            f"Can {many} {skill}?",
        )
    )
    answer = f"Yes, {a} can {skill}." if can else f"No, {a} can not {skill}."
    return QA(q, answer, "yes" if can else "no")


def which_animal(rng: Random) -> QA:
    name, x = rng.choice([(n, x) for n, x in w.ANIMALS.items() if x.sound != "sniff"])
    q = rng.choice(
        (f"Which animal says {x.sound}?", f"What animal says {x.sound}?", f"Who says {x.sound}?",
         f"Which animal makes the sound {x.sound}?")
    )  # fmt: skip
    return QA(q, f"{capital(article(name))} says {x.sound}.", name)


def colour(rng: Random) -> QA:
    thing, c = rng.choice(list(w.COLOUR_OF.items()))
    ask = rng.randrange(4)
    if ask < 3:
        color = rng.choice(("colour", "colour", "color"))
        q = rng.choice(
            (f"What {color} is {thing}?", f"Which {color} is {thing}?",
            f"What is the {color} of {thing}?", f"What {color} is {thing}?",
             f"What {color} does {thing} have?", f"Tell me the {color} of {thing}.")
        )  # fmt: skip
        return QA(q, f"{capital(thing)} is {c}.", c)
    guess = rng.choice([c, rng.choice(w.COLOURS)])
    q = rng.choice((f"Is {thing} {guess}?", f"Is it true that {thing} is {guess}?"))
    if guess == c:
        return QA(q, f"Yes, {thing} is {c}.", "yes")
    return QA(q, f"No, {thing} is {c}.", "no")


def opposite(rng: Random) -> QA:
    word, other = rng.choice(list(w.OPPOSITES.items()))
    quoted = rng.choice((word, word, f'"{word}"'))
    q = rng.choice(
        (f"What is the opposite of {quoted}?", f"The opposite of {quoted} is what?",
         f"Tell me the opposite of {quoted}.", f"Give me the opposite of {quoted}.",
         f"Which word is the opposite of {quoted}?", f"Opposite of {quoted}?",
         f"What is not {quoted}?",
         f"What's the opposite of {quoted}?")
    )  # fmt: skip
    return QA(q, f"The opposite of {word} is {other}.", other)


def sums(rng: Random) -> QA:
    plus = rng.random() < 0.6
    a = rng.randint(0, 20)
    b = rng.randint(0, 20 - a if plus else a)
    c = a + b if plus else a - b
    sign = "+" if plus else "-"
    left, right = str(a), str(b)
    if rng.random() < 0.2:
        left, right = w.NUMBER_WORDS[a], w.NUMBER_WORDS[b]
    word = rng.choice(("plus", "and")) if plus else rng.choice(("minus", "take away"))
    expression = rng.choice(
        (f"{left} {sign} {right}", f"{left} {sign} {right}", f"{left} {word} {right}")
    )
    if left.isdigit() and rng.random() < 0.2:
        expression = f"{a}{sign}{b}"
    q = rng.choice(
        (f"What is {expression}?", f"What is {expression}?", f"How much is {expression}?",
        f"{expression} = ?",
         f"{expression}?", f"Can you tell me {expression}?", f"Calculate {expression}.",
         f"{expression} =",
         f"What's {expression}?", f"Compute {expression}.")
    )  # fmt: skip
    return QA(q, f"{a} {sign} {b} = {c}", c)


def word_problem(rng: Random) -> QA:
    name = rng.choice(w.CHILDREN)
    a = rng.randint(1, 10)
    thing = rng.choice(("apples", "nuts", "balls", "books", "cookies", "carrots", "coins"))
    if rng.random() < 0.5:
        b = rng.randint(1, 10)
        act = rng.choice((f"gets {b} more", f"finds {b} more", f"buys {b} more"))
        c = a + b
    else:
        b = rng.randint(1, a)
        act = rng.choice((f"eats {b}", f"loses {b}", f"gives away {b}"))
        c = a - b
    he = "he" if name in w.BOYS else "she"
    who = rng.choice((name, he))
    q = f"{name} has {a} {thing} and {act}. How many {thing} does {who} have now?"
    return QA(q, f"{name} has {c} {thing} now.", c)


def bigger(rng: Random) -> QA:
    a, b = rng.sample(range(21), 2)
    word, pick = rng.choice((("bigger", max(a, b)), ("smaller", min(a, b)), ("more", max(a, b))))
    q = rng.choice((f"Which is {word}, {a} or {b}?", f"What is {word}: {a} or {b}?"))
    rest = a + b - pick
    return QA(q, f"{pick} is {word} than {rest}.", pick)


def counting(rng: Random) -> QA:
    ask = rng.randrange(4)
    if ask == 0:
        n = rng.randint(2, 20)
        q = rng.choice(
            (f"Count to {n}.", f"Can you count to {n}?", f"Count from 1 to {n}.",
            f"Please count up to {n}.",
             f"Say the numbers from 1 to {n}.")
        )  # fmt: skip
        return QA(q, ", ".join(map(str, range(1, n + 1))))
    if ask == 1:
        a = rng.randint(2, 15)
        b = rng.randint(a + 1, min(20, a + 8))
        q = rng.choice((f"Count from {a} to {b}.", f"Can you count from {a} to {b}?"))
        return QA(q, ", ".join(map(str, range(a, b + 1))))
    if ask == 2:
        n = rng.randint(3, 12)
        q = rng.choice(
            (f"Count down from {n}.", f"Count backwards from {n}.", f"Count from {n} down to 1.")
        )
        return QA(q, ", ".join(map(str, range(n, 0, -1))))
    n = rng.randint(1, 19)
    word, m = rng.choice((("after", n + 1), ("before", n - 1)))
    q = rng.choice((f"What number comes {word} {n}?", f"Which number comes {word} {n}?"))
    return QA(q, f"{m} comes {word} {n}.", m)


def sequence(rng: Random) -> QA:
    unit, items = rng.choice(list(w.SEQUENCES.items()))
    i = rng.randrange(len(items))
    word, j = rng.choice((("after", i + 1), ("before", i - 1)))
    answer = items[j % len(items)]
    q = rng.choice(
        (f"What comes {word} {items[i]}?", f"Which {unit} comes {word} {items[i]}?",
         f"What {unit} is {word} {items[i]}?", f"Which {unit} is {word} {items[i]}?")
    )  # fmt: skip
    return QA(q, f"{capital(answer)} comes {word} {items[i]}.", answer)


def how_many(rng: Random) -> QA:
    what, n = rng.choice(list(w.HOW_MANY.items()))
    q = rng.choice(
        (f"How many {what}?", f"Do you know how many {what}?", f"Tell me how many {what}.")
    )
    return QA(q, w.HOW_MANY_ANSWER[what], n)


def capital_city(rng: Random) -> QA:
    country, city = rng.choice(list(w.CAPITALS.items()))
    q = rng.choice(
        (f"What is the capital of {country}?", f"Which city is the capital of {country}?",
         f"Name the capital of {country}.", f"Tell me the capital of {country}.",
         f"What's the capital of {country}?", f"Capital of {country}?",
         f"What is the capital city of {country}?", f"Do you know the capital of {country}?")
    )  # fmt: skip
    return QA(q, f"The capital of {country} is {city}.", city)


def rhyme(rng: Random) -> QA:
    word, other = rng.choice(list(w.RHYMES.items()))
    q = rng.choice(
        (f"What rhymes with {word}?", f"Which word rhymes with {word}?",
        f"Give me a rhyme for {word}.",
         f"Find a word that rhymes with {word}.")
    )  # fmt: skip
    return QA(q, f"{capital(other)} rhymes with {word}.", other)


def kind(rng: Random) -> QA:
    name, group = rng.choice(list(w.KIND_OF.items()))
    a = article(name)
    if rng.random() < 0.5:
        q = rng.choice((f"What is {a}?", f"What kind of thing is {a}?", f"What's {a}?"))
        return QA(q, f"{capital(a)} is {group}.", group.split()[1])
    guess = rng.choice([group, rng.choice(list(w.KIND_OF.values()))])
    right = guess == group or (guess == "an animal" and group in ("a bird", "an insect"))
    q = rng.choice((f"Is {a} {guess}?", f"Would you say {a} is {guess}?"))
    answer = f"Yes, {a} is {guess}." if right else f"No, {a} is {group}."
    return QA(q, answer, "yes" if right else "no")


def meaning(rng: Random) -> QA:
    word, text = rng.choice(list(w.MEANINGS.items()))
    named = word.upper() if word == "cpu" else word
    a = f"the {word}" if word == "moon" else article(named)
    q = rng.choice(
        (f"What is {a}?", f"What does {named} mean?", f"Explain {named}.", f"Tell me what {a} is.",
         f"What's {a}?", f"Tell me about {a}." if word != "story" else f"What is {a}?")
    )  # fmt: skip
    return QA(q, text)


def name_some(rng: Random) -> QA:
    group, items = rng.choice(list(w.KINDS.items()))
    n = rng.randint(2, len(items))
    count = rng.choice((w.NUMBER_WORDS[n], w.NUMBER_WORDS[n], str(n)))
    q = rng.choice(
        (f"Name {count} {group}.", f"Tell me {count} {group}.", f"Give me {count} {group}.",
        f"List {count} {group}.",
         f"Can you name {count} {group}?", f"What are {count} {group}?")
    )  # fmt: skip
    return QA(q, f"{capital(listing(items[:n]))}.", listing(items[:n]))


def repeat(rng: Random) -> QA:
    pool = [*w.COLOURS, *w.ANIMALS, *w.THINGS, "hello", "good morning", "yes", "I like you"]
    words = [rng.choice(pool), *(rng.choice([*pool, w.invented(rng)]) for _ in range(4))]
    text = " ".join(words[: rng.randint(1, 5)])
    q = rng.choice(
        (f'Say "{text}".', f"Repeat after me: {text}", f"Say {text}", f"Repeat: {text}",
         f'Repeat the words "{text}".', f"Echo {text}")
    )  # fmt: skip
    return QA(q, capital(text) + ".")


def belongings(rng: Random) -> tuple[str, list[QA]]:
    """(who has what, all questions about it)."""
    n = rng.randint(2, 4)
    names = rng.sample(w.CHILDREN, n)
    things = rng.sample(w.THINGS, n)
    colours = rng.sample(w.COLOURS, n)
    rows = list(zip(names, colours, things, strict=True))
    text = " ".join(f"{x} has {article(c)} {t}." for x, c, t in rows)
    asked = [QA(f"Who has the {t}?", f"{x} has the {t}.", x) for x, _, t in rows]
    asked += [
        QA(f"What does {x} have?", f"{x} has {article(c)} {t}.", f"{c} {t}") for x, c, t in rows
    ]
    for x, c, t in rows:
        question = rng.choice((f"What colour is the {t}?", f"What colour is the {t} of {x}?"))
        asked.append(QA(question, f"The {t} is {c}.", c))
    return text, asked


def whereabouts(rng: Random) -> tuple[str, list[QA]]:
    """(who is where, all questions about it)."""
    n = rng.randint(2, 4)
    names = rng.sample([*w.CHILDREN, *(f"the {a}" for a in w.ANIMALS)], n)
    places = rng.sample(w.PLACES, n)
    verb = rng.choice(("is in", "went to", "is at"))
    rows = list(zip(names, places, strict=True))
    text = " ".join(f"{capital(x)} {verb} the {p}." for x, p in rows)
    asked = [QA(f"Where is {x}?", f"{capital(x)} is at the {p}.", p) for x, p in rows]
    asked += [QA(f"Who is at the {p}?", f"{capital(x)} is at the {p}.", x) for x, p in rows]
    return text, asked


TOLD: dict[str, Callable[[Random], tuple[str, list[QA]]]] = {
    "who_has": belongings,
    "where_is": whereabouts,
}
"""Tasks that tell something first; several questions may follow."""


def told(rng: Random, task: str) -> QA:
    text, asked = TOLD[task](rng)
    qa = rng.choice(asked)
    return qa._replace(question=f"{text} {qa.question}")


QUESTIONS: dict[str, tuple[float, Callable[[Random], QA]]] = {
    "animal": (2.0, animal_fact),
    "which_animal": (0.5, which_animal),
    "colour": (1.0, colour),
    "opposite": (1.5, opposite),
    "sum": (8.0, sums),
    "word_problem": (3.0, word_problem),
    "bigger": (2.0, bigger),
    "counting": (3.5, counting),
    "sequence": (2.0, sequence),
    "how_many": (0.5, how_many),
    "capital": (0.7, capital_city),
    "rhyme": (0.6, rhyme),
    "kind": (0.8, kind),
    "meaning": (0.6, meaning),
    "name_some": (1.2, name_some),
    "repeat": (2.5, repeat),
    "who_has": (4.0, partial(told, task="who_has")),
    "where_is": (3.5, partial(told, task="where_is")),
}
