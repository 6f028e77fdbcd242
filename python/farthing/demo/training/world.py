"""The little world the demo model knows: every table of facts the corpus is written from."""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Animal(NamedTuple):
    sound: str
    home: str
    food: str
    legs: int
    baby: str
    flies: bool = False
    swims: bool = False


ANIMALS: dict[str, Animal] = {
    "cat": Animal("meow", "in a house", "fish", 4, "kitten"),
    "dog": Animal("woof", "in a kennel", "bones", 4, "puppy", swims=True),
    "cow": Animal("moo", "in a barn", "grass", 4, "calf"),
    "horse": Animal("neigh", "in a stable", "hay", 4, "foal", swims=True),
    "sheep": Animal("baa", "in a meadow", "grass", 4, "lamb"),
    "pig": Animal("oink", "in a sty", "corn", 4, "piglet"),
    "duck": Animal("quack", "on a pond", "seeds", 2, "duckling", flies=True, swims=True),
    "hen": Animal("cluck", "in a coop", "corn", 2, "chick"),
    "frog": Animal("croak", "in a pond", "flies", 4, "tadpole", swims=True),
    "bee": Animal("buzz", "in a hive", "honey", 6, "larva", flies=True),
    "mouse": Animal("squeak", "in a hole", "cheese", 4, "pup"),
    "owl": Animal("hoot", "in a tree", "mice", 2, "owlet", flies=True),
    "lion": Animal("roar", "in the grassland", "meat", 4, "cub"),
    "bear": Animal("growl", "in a cave", "honey", 4, "cub", swims=True),
    "fox": Animal("yap", "in a den", "berries", 4, "cub"),
    "rabbit": Animal("sniff", "in a burrow", "carrots", 4, "bunny"),
    "wren": Animal("tweet", "in a nest", "worms", 2, "chick", flies=True),
    "crow": Animal("caw", "in a nest", "seeds", 2, "chick", flies=True),
    "goat": Animal("maa", "on a hill", "leaves", 4, "kid"),
    "snake": Animal("hiss", "under a rock", "eggs", 0, "snakelet", swims=True),
    "wolf": Animal("howl", "in the forest", "meat", 4, "pup"),
    "elephant": Animal("toot", "in the grassland", "leaves", 4, "calf", swims=True),
    "squirrel": Animal("chatter", "in a tree", "nuts", 4, "kit"),
    "turtle": Animal("snap", "in a lake", "leaves", 4, "hatchling", swims=True),
}

BOYS = [
    "Tom",
    "Ben",
    "Sam",
    "Max",
    "Leo",
    "Jack",
    "Finn",
    "Oscar",
    "Hugo",
    "Noah",
    "Adam",
    "Paul",
    "Tim",
    "Otto",
    "Bob",
    "David",
    "George",
    "John",
    "Peter",
]
GIRLS = [
    "Anna",
    "Mia",
    "Lily",
    "Ella",
    "Ruby",
    "Emma",
    "Nora",
    "Rosa",
    "Ivy",
    "Lucy",
    "Zoe",
    "Sara",
    "Kate",
    "Alice",
    "Clara",
    "Eva",
    "Helen",
    "Maria",
    "Julia",
]
CHILDREN = BOYS + GIRLS
PETS_HE = ["Pip", "Rusty", "Max", "Biscuit", "Button", "Bobo", "Moss", "Pepper"]
PETS_SHE = ["Dot", "Coco", "Star", "Daisy", "Fluff", "Penny", "Molly", "Bella"]

COLOURS = [
    "red",
    "blue",
    "green",
    "yellow",
    "orange",
    "purple",
    "black",
    "white",
    "brown",
    "pink",
    "grey",
]
COLOUR_OF: dict[str, str] = {
    "grass": "green", "the sky": "blue", "snow": "white", "the sun": "yellow", "coal": "black",
    "a tomato": "red", "a carrot": "orange", "a banana": "yellow", "a lemon": "yellow",
    "a leaf": "green", "milk": "white", "a strawberry": "red", "chocolate": "brown",
    "a plum": "purple", "an elephant": "grey", "a rose": "red", "the sea": "blue",
    "a crow": "black", "a frog": "green", "a pig": "pink", "a fox": "red", "a cloud": "white",
    "an orange": "orange", "wood": "brown", "honey": "yellow", "the night": "black",
}  # fmt: skip

OPPOSITES: dict[str, str] = {
    a: b
    for pair in [
        "hot cold",
        "big small",
        "up down",
        "day night",
        "fast slow",
        "happy sad",
        "open closed",
        "full empty",
        "light dark",
        "wet dry",
        "old young",
        "tall short",
        "hard soft",
        "loud quiet",
        "good bad",
        "early late",
        "left right",
        "in out",
        "on off",
        "yes no",
        "black white",
        "clean dirty",
        "near far",
        "rich poor",
        "strong weak",
        "thick thin",
        "first last",
        "high low",
        "true false",
        "win lose",
        "push pull",
        "start stop",
        "inside outside",
        "above below",
        "before after",
        "warm cool",
        "brave afraid",
        "love hate",
        "new used",
    ]
    for a, b in (pair.split(), pair.split()[::-1])
} | {"long": "short", "heavy": "light", "bright": "dark", "large": "small", "little": "big"}

KINDS: dict[str, list[str]] = {
    "animals": ["cat", "dog", "cow", "horse", "sheep"],
    "colours": ["red", "blue", "green", "yellow", "orange"],
    "fruits": ["apple", "banana", "pear", "plum", "lemon"],
    "vegetables": ["carrot", "potato", "onion", "pea", "bean"],
    "toys": ["ball", "kite", "doll", "drum", "train"],
    "birds": ["wren", "owl", "crow", "duck", "hen"],
    "flowers": ["rose", "tulip", "daisy", "lily", "poppy"],
    "drinks": ["water", "milk", "tea", "juice", "cocoa"],
    "days": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
    "months": ["January", "February", "March", "April", "May"],
    "seasons": ["spring", "summer", "autumn", "winter"],
    "numbers": ["1", "2", "3", "4", "5"],
    "children's names": ["Tom", "Anna", "Ben", "Mia", "Sam"],
}
KIND_OF: dict[str, str] = {
    **dict.fromkeys(("apple", "banana", "pear", "plum", "lemon", "strawberry"), "a fruit"),
    **dict.fromkeys(("carrot", "potato", "onion", "pea", "bean"), "a vegetable"),
    **dict.fromkeys(("ball", "kite", "doll", "drum"), "a toy"),
    **dict.fromkeys(("rose", "tulip", "daisy", "poppy"), "a flower"),
    **dict.fromkeys(("wren", "owl", "crow", "duck", "hen"), "a bird"),
    **{x: "an animal" for x in ANIMALS if x not in ("wren", "owl", "crow", "duck", "hen")},
    "bee": "an insect",
}

SEQUENCES: dict[str, list[str]] = {
    "day": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "month": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "season": ["spring", "summer", "autumn", "winter"],
}
HOW_MANY: dict[str, int] = {
    "days are in a week": 7, "months are in a year": 12, "seasons are in a year": 4,
    "hours are in a day": 24, "fingers are on a hand": 5, "wheels does a car have": 4,
    "wheels does a bike have": 2, "eyes does a cat have": 2, "legs does a table have": 4,
    "sides does a triangle have": 3, "sides does a square have": 4,
    "minutes are in an hour": 60, "farthings made a penny": 4, "letters are in the alphabet": 26,
}  # fmt: skip
HOW_MANY_ANSWER: dict[str, str] = {
    "days are in a week": "There are 7 days in a week.",
    "months are in a year": "There are 12 months in a year.",
    "seasons are in a year": "There are 4 seasons in a year.",
    "hours are in a day": "There are 24 hours in a day.",
    "fingers are on a hand": "There are 5 fingers on a hand.",
    "wheels does a car have": "A car has 4 wheels.",
    "wheels does a bike have": "A bike has 2 wheels.",
    "eyes does a cat have": "A cat has 2 eyes.",
    "legs does a table have": "A table has 4 legs.",
    "sides does a triangle have": "A triangle has 3 sides.",
    "sides does a square have": "A square has 4 sides.",
    "minutes are in an hour": "There are 60 minutes in an hour.",
    "farthings made a penny": "Four farthings made a penny.",
    "letters are in the alphabet": "There are 26 letters in the alphabet.",
}

CAPITALS: dict[str, str] = {
    "France": "Paris", "England": "London", "Germany": "Berlin", "Italy": "Rome",
    "Spain": "Madrid", "Japan": "Tokyo", "China": "Beijing", "Russia": "Moscow",
    "Egypt": "Cairo", "Greece": "Athens", "Norway": "Oslo", "Sweden": "Stockholm",
    "Poland": "Warsaw", "Austria": "Vienna", "Ireland": "Dublin", "Portugal": "Lisbon",
}  # fmt: skip
CITIES = [
    *CAPITALS.values(),
    *["Boston", "Chicago", "Zurich", "Geneva", "Milan", "Munich", "Oxford", "York", "Delhi",
    "Sydney", "Lima", "Seoul"],
    "New York", "San Francisco", "Hong Kong", "Cape Town",
]  # fmt: skip

RHYMES: dict[str, str] = {
    a: b
    for pair in [
        "cat hat",
        "dog log",
        "mouse house",
        "bee tree",
        "fox box",
        "moon spoon",
        "star car",
        "cake lake",
        "bear pear",
        "goat boat",
        "hen pen",
        "king ring",
        "sun run",
        "day play",
        "night light",
        "snow slow",
        "red bed",
        "blue shoe",
    ]
    for a, b in (pair.split(), pair.split()[::-1])
}

THINGS = [
    "ball",
    "kite",
    "hat",
    "book",
    "cup",
    "bag",
    "coat",
    "box",
    "boat",
    "drum",
    "doll",
    "bike",
    "key",
    "lamp",
    "spoon",
    "scarf",
]
PLACES = [
    "garden",
    "park",
    "forest",
    "river",
    "hill",
    "farm",
    "meadow",
    "village",
    "beach",
    "school",
]
FOODS = [
    "bread",
    "cake",
    "soup",
    "cheese",
    "apples",
    "carrots",
    "honey",
    "nuts",
    "berries",
    "cookies",
]
WEATHER = ["sunny", "rainy", "cloudy", "windy", "snowy", "foggy", "stormy"]
NUMBER_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]

_SYLLABLES = [
    "ba",
    "bor",
    "cal",
    "dan",
    "el",
    "fen",
    "gar",
    "hol",
    "in",
    "jor",
    "kam",
    "lor",
    "mar",
    "nel",
    "or",
    "pan",
    "qui",
    "ros",
    "sal",
    "tor",
    "ul",
    "van",
    "wex",
    "yan",
    "zor",
]

MEANINGS: dict[str, str] = {
    "farthing": "A farthing was a small coin with a wren on it. Four farthings made a penny.",
    "penny": "A penny is a small coin.",
    "computer": "A computer is a machine that works with numbers.",
    "cpu": "A CPU is the part of a computer that does the work.",
    "language model": "A language model is a program that guesses the next word.",
    "token": "A token is a small piece of text.",
    "rainbow": "A rainbow is a band of colours in the sky after rain.",
    "story": "A story tells what happened to somebody.",
    "friend": "A friend is somebody you like and help.",
    "farm": "A farm is a place where animals live and food grows.",
    "village": "A village is a small place with some houses.",
    "river": "A river is water that runs to the sea.",
    "star": "A star is a far sun that shines at night.",
    "moon": "The moon is a round rock that goes around the earth.",
}


def invented(rng: Random) -> str:
    """A capitalised word nobody knows, for copying and for not knowing."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 3))).capitalize()


def plural(noun: str) -> str:
    """More than one of an animal."""
    odd = {"mouse": "mice", "sheep": "sheep", "wolf": "wolves", "fox": "foxes"}
    return odd.get(noun, f"{noun}s")


def article(noun: str) -> str:
    """`noun` with its indefinite article."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def listing(items: list[str], last: str = "and") -> str:
    """Items as English writes them: `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def capital(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]
