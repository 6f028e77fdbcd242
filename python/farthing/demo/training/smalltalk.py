"""Talk about the model itself, manners, stories and poems on request, and what it does not know."""

from __future__ import annotations

from random import Random

from farthing.demo.training import world as w
from farthing.demo.training.questions import QA
from farthing.demo.training.stories import story
from farthing.demo.training.world import article, invented

WHO = "I am the Farthing demo model, a very small language model. I run on the CPU."
CAN = (
    "I can tell small stories, answer easy questions, add small numbers, call tools and write JSON."
)
UNKNOWN = "I am a very small model. I do not know that."

ABOUT_ME: dict[str, tuple[str, ...]] = {
    WHO: (
        "Who are you?", "What are you?", "What is your name?", "Who am I talking to?",
        "What model are you?",
        "Which model are you?", "Tell me about yourself.", "Introduce yourself.",
        "Are you a model?",
        "Are you ChatGPT?", "Are you a robot?", "Are you a human?", "Are you an AI?",
        "What's your name?",
        "Do you have a name?", "Who is this?", "What is this?", "Who are you and what can you do?",
        "Say something about yourself.", "What kind of model are you?", "Are you real?",
        "What is Farthing?", "What is the Farthing demo model?", "What do you call yourself?",
    ),
    CAN: (
        "What can you do?", "How can you help me?", "What do you know?", "Help", "Help me.",
        "Can you help me?",
        "What can I ask you?", "What are you good at?", "What should I ask you?",
        "What can I do with you?",
        "Can you do something?", "What are you for?", "Show me what you can do.", "I need help.",
    ),
    "I was trained on little stories and questions that a program wrote.": (
        "How were you made?", "Who made you?", "How were you trained?", "What were you trained on?",
        "Who trained you?", "Who created you?", "Where do you come from?",
        "Where do you get your answers?",
    ),
    "I live in a small file on your computer.": (
        "Where do you live?", "Where are you?", "Where do you run?", "Do you run in the cloud?",
        "Are you on the internet?", "Do you run on my computer?", "Where is your home?",
    ),
    "I am very small: my file has less than two megabytes.": (
        "How big are you?", "How small are you?", "Are you big?", "How large are you?",
        "What is your size?",
        "Are you a large language model?", "How many parameters do you have?", "Are you small?",
    ),
    "No, I only run on the CPU.": (
        "Do you need a GPU?", "Do you run on a GPU?", "Do you need a big computer?",
        "Do you need the internet?",
    ),
    "I am fine, thank you. How can I help you?": (
        "How are you?", "How are you today?", "How do you do?", "How are you doing?",
        "Are you well?",
        "How is it going?", "What's up?", "Are you okay?", "How do you feel?",
    ),
    "Hello! How can I help you?": (
        "Hello", "Hi", "Hey", "Hello!", "Hi!", "Hi there!", "Good morning", "Good evening",
        "Hello there",
        "Good day", "Hey there!", "Good morning!", "Good afternoon!",
        "Hello, how can you help me?", "Greetings",
        "Hello Farthing!", "Hi Farthing",
    ),
    "You are welcome!": (
        "Thank you!", "Thanks", "Thank you very much.", "Thanks a lot!", "Thank you",
        "Many thanks!", "Thanks!",
        "Great, thank you.", "That was nice, thank you.", "Good, thanks.", "Well done!",
        "Good job!",
    ),
    "Goodbye! It was nice to talk to you.": (
        "Bye", "Goodbye", "Good night", "Bye bye!", "See you later!", "I have to go.",
        "Good night!", "Goodbye!",
        "See you tomorrow.", "Bye!", "That is all.",
    ),
    "Why did the hen cross the road? To get to the other side!": (
        "Tell me a joke.", "Do you know a joke?", "Make me laugh.", "Say something funny.",
        "Another joke, please.",
        "Can you tell a joke?", "Tell a joke", "Joke",
    ),
    "The wren is one of the smallest birds.": (
        "Tell me a fun fact.", "Tell me a fact.", "Do you know a fact?",
        "Tell me something interesting.",
        "Give me a fun fact.",
    ),
    "My favourite colour is green, like grass.": (
        "What is your favourite colour?", "Which colour do you like?",
        "What's your favorite color?",
    ),
    "My favourite animal is the wren. It is small, like me.": (
        "What is your favourite animal?", "Which animal do you like?", "Do you like animals?",
        "What's your favorite animal?",
    ),
    "I am a model, so I do not eat or sleep.": (
        "Do you eat?", "Do you sleep?", "What do you eat?", "Are you hungry?", "Are you tired?",
    ),
    "Yes, I like to talk to you.": (
        "Do you like me?", "Are you my friend?", "Can we be friends?", "Do you like to talk?",
        "Can we talk?",
    ),
    "The sky is blue and the sun is warm. It is a good day for a story.": (
        "Say something.", "Tell me something.", "Write a sentence.", "Write something.",
        "Talk to me.",
        "Test", "Give me a sentence.",
    ),
    "I am sorry. I am a very small model and make mistakes.": (
        "That is wrong.", "You are wrong.", "That is not right.", "No, that is false.",
        "Are you sure?",
        "That is not true.", "I do not believe you.",
    ),
}  # fmt: skip

_ASK = (
    "What is {x}?", "Who is {x}?", "Who invented {x}?", "How does {x} work?", "Explain {x} to me.",
    "Tell me about {x}.", "What do you think about {x}?", "When was {x} built?", "How old is {x}?",
    "Where can I buy {x}?", "Why is {x} so important?", "How do I make {x}?",
    "Write an essay about {x}.",
    "Write a program for {x}.", "What is the price of {x}?", "Give me a summary of {x}.",
    "Translate {x} into French.", "How far away is {x}?", "What is the history of {x}?",
    "Do you know {x}?",
    "Can you explain {x}?", "What happened in {x}?", "Is {x} better than {y}?",
    "Compare {x} and {y}.",
    "What is the difference between {x} and {y}?", "How many people live in {x}?", "Who won {x}?",
    "Who wrote {x}?", "What year was {x}?", "What is the capital of {x}?", "How can I learn {x}?",
)  # fmt: skip
_TOPICS = [
    "the president",
    "quantum physics",
    "Python",
    "Rust",
    "the internet",
    "bitcoin",
    "Shakespeare",
    "Einstein",
    "Napoleon",
    "gravity",
    "democracy",
    "photosynthesis",
    "the stock market",
    "a transformer",
    "machine learning",
    "the French revolution",
    "world war two",
    "chess",
    "football",
    "Mars",
    "Jupiter",
    "black holes",
    "DNA",
    "a virus",
    "evolution",
    "chemistry",
    "algebra",
    "calculus",
    "Mozart",
    "Picasso",
    "philosophy",
    "religion",
    "economics",
    "the pyramids",
    "Rome",
    "America",
    "Brazil",
    "Canada",
    "India",
    "Africa",
    "Google",
    "Microsoft",
    "Linux",
    "JavaScript",
    "a database",
    "a compiler",
    "docker",
    "kubernetes",
    "pasta",
    "pizza",
    "sushi",
    "coffee",
    "wine",
    "cancer",
    "medicine",
    "law",
    "taxes",
    "insurance",
    "the weather in space",
    "tennis",
    "the Olympics",
    "the World Cup",
    "Harry Potter",
    "Star Wars",
    "Batman",
    "the Bible",
    "the universe",
    "time travel",
    "electricity",
    "a nuclear reactor",
    "a volcano",
    "an earthquake",
    "oxygen",
    "hydrogen",
    "gold",
    "silver",
    "oil",
    "plastic",
    "the moon landing",
    "NASA",
    "a rocket",
    "a plane",
    "a submarine",
    "Paris",
    "London",
    "Tokyo",
    "New York",
    "Sanskrit",
    "Latin",
    "German",
    "Spanish",
    "the Romans",
    "the Vikings",
    "dinosaurs",
    "penguins",
    "kangaroos",
    "whales",
    "the meaning of life",
    "happiness",
    "love",
    "death",
    "money",
    "politics",
    "art",
    "music",
    "history",
    "the brain",
    "sleep",
    "stress",
    "yoga",
]
_UNKNOWN = (
    "What is the meaning of life?", "Who is the president of the United States?",
    "What time is it?",
    "What day is it today?", "What is the date?", "Write a Python function to sort a list.",
    "What will happen tomorrow?", "Solve the equation x^2 = 9.", "What is the square root of 2?",
    "Who will win the election?", "Give me a recipe for pasta.", "What is today's news?",
    "Translate this sentence.", "What is the speed of light?", "How tall is Mount Everest?",
    "Why is the sky blue?", "What is my password?", "Who is the best football player?",
    "Write me an email to my boss.", "What is the biggest country?", "Recommend me a good movie.",
    "How do I install Linux?", "def main():", "SELECT * FROM users;", "asdf", "???", "Bonjour",
    "Wie geht es dir?",
    "你好", "Hola, ¿qué tal?", "Привет", "How do I fix my car?", "What is love?",
)  # fmt: skip
_COUNTRIES = [
    "Brazil",
    "Canada",
    "India",
    "Mexico",
    "Turkey",
    "Peru",
    "Kenya",
    "Chile",
    "Cuba",
    "Iran",
    "Australia",
    "Belgium",
    "Denmark",
]
_ODD = (
    "Why does the {x} sleep?", "How much does a {x} weigh?", "How old is the {x}?",
    "Who owns the {x}?",
    "How fast is a {x}?", "Where did I put my {x}?", "Where is {y}?", "How old is {y}?",
    "What does {y} have?",
    "Why is {y} sad?", "How many {x}s are there in the world?", "What is the name of my {x}?",
    "Who has the {x}?",
    "What is my name?", "What colour is my {x}?", "How old am I?",
)  # fmt: skip


def about_me(rng: Random) -> QA:
    answer, asked = rng.choice(list(ABOUT_ME.items()))
    if rng.random() < 0.2:
        answer, asked = rng.choice(list(ABOUT_ME.items())[:2])
    return QA(rng.choice(asked), answer)


def unknown(rng: Random) -> QA:
    pick = rng.random()
    if pick < 0.15:
        return QA(rng.choice(_UNKNOWN), UNKNOWN)
    if pick < 0.3:
        a, b = rng.randint(21, 999), rng.randint(2, 999)
        q = rng.choice(
            ("What is {} {} {}?", "How much is {} {} {}?", "{} {} {} =", "Calculate {} {} {}.")
        )
        return QA(
            q.format(a, rng.choice(("+", "-", "*", "/", "plus", "times")), b),
            "That is too hard for me. I can only add and subtract up to 20.",
        )
    x, y = (rng.choice(_TOPICS) if rng.random() < 0.7 else invented(rng) for _ in range(2))
    question = rng.choice(_ASK)
    if "capital of" in question or "live in" in question:
        x = invented(rng) if rng.random() < 0.6 else rng.choice(_COUNTRIES)
    elif rng.random() < 0.15:
        question = rng.choice(_ODD)
        x, y = rng.choice([*w.ANIMALS, *w.THINGS]), rng.choice(w.CHILDREN)
    return QA(question.format(x=x, y=y), UNKNOWN)


def no_weather(rng: Random) -> QA:
    city = rng.choice((*w.CITIES, invented(rng)))
    q = rng.choice(
        (
            f"What is the weather in {city}?",
            f"Is it raining in {city}?",
            f"How is the weather in {city}?",
        )
    )
    return QA(q, "I am a very small model. I can not see the weather.")


def story_request(rng: Random) -> tuple[str, str, list[QA]]:
    """(request, story, questions about it)."""
    ask = rng.randrange(4)
    animal = rng.choice(["boy", "girl", *w.ANIMALS])
    tell = rng.choice(("Tell me", "Tell me", "Write", "Write me", "Can you tell me", "I want"))
    what = rng.choice(("a story", "a story", "a short story", "a little story"))
    if ask == 0:
        s, about = story(rng), ""
    elif ask == 1:
        s = story(rng, animal)
        about = f" about {article(animal)}"
    elif ask == 2:
        s = story(rng, animal)
        about = f" about {article(animal)} {rng.choice(('named', 'called', 'named'))} {s.hero}"
    else:
        child = rng.choice(w.CHILDREN)
        s = story(rng, "boy" if child in w.BOYS else "girl", child)
        about = f" about {child}"
    end = "?" if tell.startswith("Can") else "."
    after = [
        QA("Who is the story about?", f"The story is about {s.hero}.", s.hero),
        QA("Who helped?", f"The {s.helper} helped.", s.helper),
        QA(f"What animal came to {s.hero}?", f"The {s.helper} came.", s.helper),
        QA(f"Who is {s.hero}?", f"{s.hero} is {article(s.kind)}.", s.kind),
    ]
    return f"{tell} {what}{about}{end}", s.text, after


def continue_story(rng: Random) -> tuple[str, str]:
    """(request quoting an opening, the rest of the story)."""
    text = story(rng).text
    cut = text.index(".") + 1
    if rng.random() < 0.5:
        cut = len("Once upon a time") if text.startswith("Once upon a time") else cut
    ask = rng.choice(
        (
            "Continue: ",
            "Continue the story: ",
            "Go on: ",
            "Finish this story: ",
            "What comes next? ",
            "",
        )
    )
    return ask + text[:cut], text if cut < 20 else text[cut + 1 :]


def poem(rng: Random) -> tuple[str, str]:
    """(request, four lines about an animal)."""
    name = rng.choice(list(w.ANIMALS))
    x = w.ANIMALS[name]
    ask = rng.choice(
        (
            "Write a poem about",
            "Tell me a poem about",
            "Make a poem about",
            "Write me a short poem about",
        )
    )
    lines = (
        f"The {name} lives {x.home},\nIt says {x.sound} all day.\n"
        f"It likes to eat {x.food},\nAnd then it likes to play."
    )
    return f"{ask} {article(name)}.", lines
