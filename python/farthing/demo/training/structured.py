"""Tool calls, answers to their results, and JSON replies."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from farthing.demo.training import world as w
from farthing.demo.training.questions import QA
from farthing.demo.training.world import invented

Message = dict[str, Any]
NO_RESULT = "I am sorry, the tool gave no answer."
SPELLINGS = {
    "weather": (
        "get_weather",
        "get_weather",
        "weather",
        "get_current_weather",
        "fetch_weather",
        "weather_report",
    ),
    "calculator": ("calculator", "calculate", "calculator"),
    "add": ("add", "add_numbers"),
    "multiply": ("multiply", "multiply_numbers"),
    "time": ("get_time", "get_current_time"),
    "timer": ("set_timer", "start_timer"),
    "search": ("search", "web_search"),
}
PARAMETERS = {
    "weather": (("city",), ("city",), ("location",), ("place",)),
    "calculator": (("expression",),),
    "add": (("a", "b"), ("x", "y")),
    "multiply": (("a", "b"), ("x", "y")),
    "time": (("city",), ("location",), ("timezone",)),
    "timer": (("minutes",),),
    "search": (("query",),),
}


def _city(rng: Random) -> str:
    return rng.choice(w.CITIES) if rng.random() < 0.6 else invented(rng)


def _tool(name: str, parameters: tuple[str, ...], what: str) -> dict[str, Any]:
    number = what in ("add", "multiply", "timer")
    properties = {p: {"type": "number" if number else "string"} for p in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {
        "type": "function",
        "function": {"name": name, "description": what, "parameters": schema},
    }


def _weather(rng: Random, keys: tuple[str, ...]) -> tuple[str, dict[str, Any], str, str]:
    city, sky, degrees = _city(rng), rng.choice(w.WEATHER), rng.randint(0, 35)
    q = rng.choice(
        (f"What is the weather in {city}?", f"How is the weather in {city}?",
        f"What's the weather like in {city}?",
         f"Tell me the weather in {city}.", f"Weather in {city}?",
         f"What is the weather in {city} today?",
         f"Is it {rng.choice(w.WEATHER)} in {city}?", f"Do I need a coat in {city}?",
         f"Is it cold in {city}?",
         f"What is the weather like in {city} right now?", f"How warm is it in {city}?")
    )  # fmt: skip
    degree_key = rng.choice(("temperature", "temperature", "temp", "degrees"))
    sky_key = rng.choice(("condition", "weather", "sky", "conditions"))
    both = f"It is {sky} and {degrees} degrees in {city}."
    results = (
        (json.dumps({degree_key: degrees, sky_key: sky}), both),
        (json.dumps({sky_key: sky, degree_key: degrees}), both),
        (json.dumps({keys[0]: city, degree_key: degrees, sky_key: sky}),
         both),
        (f"{sky}, {degrees} degrees", both),
        (f"{degrees} degrees and {sky}", both),
        (sky, f"It is {sky} in {city}."),
        (json.dumps({degree_key: degrees}), f"It is {degrees} degrees in {city}."),
        (f"{degrees}", f"It is {degrees} degrees in {city}."),
    )  # fmt: skip
    return q, {keys[0]: city}, *rng.choice(results)


def _arithmetic(
    rng: Random, what: str, keys: tuple[str, ...]
) -> tuple[str, dict[str, Any], str, str]:
    a, b = rng.randint(0, rng.choice((20, 99, 999))), rng.randint(1, rng.choice((20, 99)))
    signs = {"add": "+", "multiply": "*"}
    sign = signs.get(what) or rng.choice("+-*/")
    word = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}[sign]
    shown = rng.choice((sign, word))
    q = rng.choice(
        (f"What is {a} {shown} {b}?", f"How much is {a} {shown} {b}?",
        f"Calculate {a} {shown} {b}.",
         f"Can you tell me {a} {shown} {b}?", f"{a} {shown} {b} = ?", f"Compute {a} {shown} {b}.")
    )  # fmt: skip
    if what == "add" and rng.random() < 0.3:
        q = f"Add {a} and {b}."
    if what == "multiply" and rng.random() < 0.3:
        q = f"Multiply {a} by {b}."
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[sign]
    arguments = {keys[0]: f"{a} {sign} {b}"} if what == "calculator" else {keys[0]: a, keys[1]: b}
    result = rng.choice((str(value), json.dumps({"result": value})))
    return q, arguments, result, f"The answer is {value}."


def _call(rng: Random, what: str, keys: tuple[str, ...]) -> tuple[str, dict[str, Any], str, str]:
    """(question, arguments, tool result, answer) for one kind of tool."""
    if what == "weather":
        return _weather(rng, keys)
    if what in ("calculator", "add", "multiply"):
        return _arithmetic(rng, what, keys)
    if what == "time":
        city, time = _city(rng), f"{rng.randint(1, 23)}:{rng.randint(10, 59)}"
        q = rng.choice(
            (
                f"What time is it in {city}?",
                f"Tell me the time in {city}.",
                f"What is the time in {city}?",
            )
        )
        result = rng.choice((time, json.dumps({"time": time})))
        return q, {keys[0]: city}, result, f"It is {time} in {city}."
    if what == "timer":
        n = rng.randint(1, 60)
        q = rng.choice(
            (
                f"Set a timer for {n} minutes.",
                f"Start a timer of {n} minutes.",
                f"Timer for {n} minutes",
            )
        )
        result = rng.choice(("ok", "done", json.dumps({"status": "ok"})))
        return q, {keys[0]: n}, result, f"The timer is set for {n} minutes."
    topic = rng.choice(
        ("wrens", "old coins", "farms", "stars", "rivers", "small models", invented(rng))
    )
    q = rng.choice(
        (f"Search for {topic}.", f"Find something about {topic}.", f"Search the web for {topic}.")
    )
    found = rng.choice(("a page", "two pages", "a book", "a song", "no pages"))
    return (
        q,
        {keys[0]: topic},
        rng.choice((found, json.dumps({"found": found}))),
        f"I found {found} about {topic}.",
    )


def tool_conversation(rng: Random, plain: QA) -> tuple[list[dict[str, Any]], list[Message]]:
    """(tools, messages): a call, often its result and the answer; or `plain`, needing no tool."""
    kinds = rng.sample(list(SPELLINGS), rng.choice((1, 1, 2, 2, 3)))
    if "calculator" in kinds:
        kinds = [k for k in kinds if k not in ("add", "multiply")]
    chosen = {k: (rng.choice(SPELLINGS[k]), rng.choice(PARAMETERS[k])) for k in kinds}
    tools = [_tool(name, keys, kind) for kind, (name, keys) in chosen.items()]
    if rng.random() < 0.2:
        return tools, [
            {"role": "user", "content": plain.question},
            {"role": "assistant", "content": plain.answer},
        ]
    what = rng.choice(kinds)
    name, keys = chosen[what]
    question, arguments, result, answer = _call(rng, what, keys)
    asked, results, answers = [arguments], [result], [answer]
    if what in ("weather", "time") and rng.random() < 0.12:
        while arguments == asked[0]:
            _, arguments, result, answer = _call(rng, what, keys)
        asked, results, answers = [*asked, arguments], [*results, result], [*answers, answer]
        places = " and ".join(x[keys[0]] for x in asked)
        question = (
            f"What is the weather in {places}?"
            if what == "weather"
            else f"What time is it in {places}?"
        )
    elif rng.random() < 0.05:
        results, answers = (
            [json.dumps({"error": rng.choice(("not found", "no answer", "failed"))})],
            [NO_RESULT],
        )
    calls = [{"type": "function", "function": {"name": name, "arguments": x}} for x in asked]
    messages: list[Message] = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "", "tool_calls": calls},
    ]
    if rng.random() < 0.5:
        messages += [{"role": "tool", "name": name, "content": x} for x in results]
        messages.append({"role": "assistant", "content": " ".join(answers)})
    return tools, messages


def json_extraction(rng: Random) -> QA:
    """A sentence or two about somebody, and the keys wanted as JSON."""
    name = rng.choice(w.CHILDREN) if rng.random() < 0.7 else invented(rng)
    he = "He" if name in w.BOYS else "She"
    age, city = rng.randint(1, 99), _city(rng)
    colour, animal = rng.choice(w.COLOURS), rng.choice(list(w.ANIMALS))
    color = rng.choice(("colour", "color"))
    facts: dict[str, tuple[Any, str]] = {
        "age": (age, rng.choice((f"{he} is {age} years old.", f"{he} is {age}."))),
        "city": (city, rng.choice((f"{he} lives in {city}.", f"{he} comes from {city}."))),
        color: (
            colour,
            rng.choice((f"{he} likes {colour}.", f"The favourite {color} of {name} is {colour}.")),
        ),
        "animal": (
            animal,
            rng.choice((f"{he} has {w.article(animal)}.", f"{he} owns {w.article(animal)}.")),
        ),
    }
    told = rng.sample(list(facts), rng.randint(1, 3))
    text = " ".join(facts[k][1] for k in told).replace(he, name, 1)
    if name not in text:
        text = f"{name} is here. {text}"
    keys = ["name", *rng.sample(told, rng.randint(1, len(told)))]
    if rng.random() < 0.15:
        keys = keys[1:]
    values = {"name": name, **{k: facts[k][0] for k in told}}
    wanted = w.listing(keys)
    ask = rng.choice(
        (f"Give the {wanted} as JSON.", f"Return the {wanted} as JSON.",
        f"Write the {wanted} as JSON.",
         f"Extract the {wanted} as JSON.", f"Answer in JSON with the keys {wanted}.",
         f"JSON with {wanted}:",
         f"Give me JSON with {wanted}.")
    )  # fmt: skip
    question = f"{text} {ask}" if rng.random() < 0.7 else f"{ask.rstrip('.:')}: {text}"
    return QA(question, json.dumps({k: values[k] for k in keys}))


def json_list(rng: Random) -> QA:
    group, items = rng.choice(list(w.KINDS.items()))
    n = rng.randint(2, len(items))
    count = rng.choice((w.NUMBER_WORDS[n], str(n)))
    q = rng.choice(
        (f"Give {count} {group} as a JSON list.", f"Write a JSON list of {count} {group}.",
         f"Name {count} {group} as JSON.", f"List {count} {group} in JSON.")
    )  # fmt: skip
    values = [int(x) if x.isdigit() else x for x in items[:n]]
    return QA(q, json.dumps(values))
