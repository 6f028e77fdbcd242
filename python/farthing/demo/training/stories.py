"""Small stories: a hero, a place, a plot of a few sentences, an end."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from farthing.demo.training.world import (
    ANIMALS,
    BOYS,
    CHILDREN,
    COLOURS,
    FOODS,
    PETS_HE,
    PETS_SHE,
    PLACES,
    THINGS,
    article,
)

ADJECTIVES = ["little", "brave", "kind", "happy", "shy", "clever", "small", "funny"]
ENDS = (
    "They were happy ever after.",
    "They were best friends from that day on.",
    "It was a very good day.",
    "Then they all went home and slept well.",
    "{n} smiled all the way home.",
)


@dataclass
class Story:
    """The text and what it is about, for requests and questions afterwards."""

    text: str
    hero: str
    kind: str
    helper: str
    place: str
    thing: str


def _hero(rng: Random, kind: str | None, name: str | None) -> tuple[str, str, str]:
    """(name, kind, pronoun); a given name decides the pronoun where it is known."""
    if kind is None:
        kind = rng.choice(["boy", "girl", *ANIMALS])
    if name is None:
        if kind in ("boy", "girl"):
            name = rng.choice(BOYS if kind == "boy" else [c for c in CHILDREN if c not in BOYS])
        else:
            name = rng.choice(PETS_HE + PETS_SHE)
    he = kind == "boy" or (
        kind != "girl" and name not in PETS_SHE and name not in CHILDREN[len(BOYS) :]
    )
    return name, kind, "he" if he else "she"


def story(rng: Random, kind: str | None = None, name: str | None = None) -> Story:
    """One story; `kind` and `name` fix the hero, the rest is drawn."""
    n, kind, he = _hero(rng, kind, name)
    his, him = ("his", "him") if he == "he" else ("her", "her")
    helper = rng.choice([a for a in ANIMALS if a != kind])
    h = f"the {helper}"
    thing, place = rng.choice(THINGS), rng.choice(PLACES)
    other = rng.choice([p for p in PLACES if p != place])
    colour, food, adjective = rng.choice(COLOURS), rng.choice(FOODS), rng.choice(ADJECTIVES)
    opening = rng.choice(
        (
            f"Once upon a time there was {article(adjective)} {kind} named {n}.",
            f"Once upon a time, {article(adjective)} {kind} named {n} lived near the {place}.",
            f"There once was {article(adjective)} {kind}. {he.capitalize()} was called {n}.",
            f"One day, {article(adjective)} {kind} named {n} went to the {place}.",
        )
    )
    plots = (
        f"{n} had {article(colour)} {thing} and played with it every day. "
        f"One morning the {thing} was gone! {n} looked at the {place} and at "
        f"the {other}, but it was not there. "
        f'Then {h} came. "I saw your {thing} by the river," said {h}. '
        f"They went there together and found the {colour} {thing}. {n} was so happy.",
        f"{n} was at the {place} with some {food}. {h.capitalize()} came by and looked "
        f'very hungry. "Would you like some {food}?" asked {n}. "Yes, please," said {h}. '
        f"They sat down and ate together. Sharing made the {food} taste even better.",
        f"One night there was a big storm over the {place}. {n} was afraid of the dark. "
        f'Then {h} came in and sat by {him}. "Do not be afraid," said {h}. "I am here." '
        f"They sang a song until the storm was over. In the morning the sun was warm and bright.",
        f"{n} wanted to learn to swim. {he.capitalize()} went to the river and tried, but it was "
        f'hard. "I can not do it," said {n}. "Try again," said {h}. "I will help you." '
        f"{n} tried again and again. At last {he} could swim, and {h} was very proud of {him}.",
        f"{n} found {article(colour)} box at the {place}. The box was closed, and there was no "
        f'key. "I know where the key is," said {h}. It was under a tree at the {other}. '
        f"They opened the box, and inside there was a {thing}. {n} gave it to {h} as a gift.",
        f"{n} wanted to make a boat. {he.capitalize()} had some wood but it was too heavy. "
        f'"May I help you?" asked {h}. Together they worked all day. '
        f"In the evening the {colour} boat was ready, and they sailed down the river.",
        f"{n} lost {his} way near the {place}. It was late and {he} wanted to go home. "
        f'{he.capitalize()} met {h} and asked for help. "Come with me," said {h}. '
        f"They walked past the {other} and over a bridge. There was the house of {n}! "
        f"{n} gave {h} some {food} to say thank you.",
        f"{n} heard a small voice at the {place}. It was {h}, who had lost the way home. "
        f'"Where do you live?" asked {n}. "I live near the {other}," said {h}. '
        f"{n} took a lamp and they walked there together. The family of {h} was so happy to see "
        f"them.",
        f"{n} and {h} had a race from the {place} to the {other}. {h.capitalize()} was very fast, "
        f"but then {h} fell into the mud. {n} stopped and helped {h} get up. "
        f'"Now nobody wins," said {h}. "We both win," said {n}, and they laughed.',
        f"{n} planted a small seed at the {place}. Every day {he} gave it water, but nothing came "
        f'up. "Wait a little," said {h}. So {n} waited and waited. '
        f"One morning there was {article(colour)} flower, and it was as tall as {h}.",
        f"{n} could not sleep, so {he} went out to see the moon. {h.capitalize()} was there too. "
        f'"What do you see?" asked {h}. "I see a star that looks like a {thing}," said {n}. '
        f"They looked at the stars until they were tired. Then {h} took {n} home to bed.",
        f"It was the birthday of {n}, but nobody came. {n} sat at the {place} and was sad. "
        f'Then {h} jumped out and said, "Happy birthday!" All the friends were there with a cake. '
        f"{n} got {article(colour)} {thing}, and they danced until it was dark.",
    )
    end = rng.choice(ENDS).format(n=n)
    return Story(f"{opening} {rng.choice(plots)} {end}", n, kind, helper, place, thing)
