"""The corpus of the demo model: deterministic, right in its own world, encoded without loss."""

import hashlib
import json
from itertools import islice
from random import Random

import pytest

from farthing.demo.training.corpus import documents, held_out, question, render
from farthing.demo.training.packing import marked
from farthing.demo.training.questions import QUESTIONS, sums
from farthing.demo.training.structured import json_extraction, tool_conversation
from farthing.demo.training.vocabulary import Encoder, learn

SAMPLE = [d.text for d in islice(documents(1), 1000)]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(learn(SAMPLE[:300], 512))


def test_the_same_seed_writes_the_same_documents() -> None:
    digest = hashlib.sha256("\n".join(SAMPLE).encode()).hexdigest()
    assert digest == "3b61f63b646ec04188963b3b1ba7ddf112eb4f08927acef243f12d55d99d1476"
    assert [d.text for d in islice(documents(2), 10)] != SAMPLE[:10]


@pytest.mark.parametrize("task", QUESTIONS)
def test_held_out_questions_stay_out_of_training(task: str) -> None:
    rng = Random(5)
    assert not any(held_out(question(rng, task)[1].question) for _ in range(50))
    assert all(held_out(question(rng, task, keep_out=False)[1].question) for _ in range(5))


def test_sums_are_right() -> None:
    rng = Random(6)
    for _ in range(200):
        left, right = sums(rng).answer.split(" = ")
        assert eval(left) == int(right)
        assert 0 <= int(right) <= 20


def test_answers_in_json_can_be_parsed() -> None:
    rng = Random(7)
    for _ in range(200):
        assert json.loads(json_extraction(rng).answer)


def test_a_call_names_a_tool_of_the_list_and_fills_its_parameters() -> None:
    rng = Random(8)
    calls = 0
    for _ in range(200):
        tools, messages = tool_conversation(rng, question(rng)[1])
        known = {t["function"]["name"]: t["function"]["parameters"]["required"] for t in tools}
        for call in messages[1].get("tool_calls", []):
            function = call["function"]
            assert list(function["arguments"]) == known[function["name"]]
            calls += 1
    assert calls > 100


def test_encoding_loses_nothing_and_needs_no_words(encoder: Encoder) -> None:
    for text in [*SAMPLE[300:350], "Zürich 🦊\n\n  two  spaces, tab\t#$", ""]:
        ids = encoder.encode(text, bos=False)
        assert encoder.decode(ids) == text
        assert encoder.encode(text, bos=False, whole=True) == ids


def test_the_loss_counts_answers_only(encoder: Encoder) -> None:
    messages = [
        {"role": "user", "content": "Say red"},
        {"role": "assistant", "content": "Red."},
        {"role": "user", "content": "Say blue"},
        {"role": "assistant", "content": "Blue."},
    ]
    ids, marks = marked(encoder, render(messages), bos=True)
    said = encoder.decode(i for i, mark in zip(ids, marks, strict=True) if mark)
    assert said == "Red.<|im_end|>Blue.<|im_end|>"
    assert all(marked(encoder, "Once upon a time<|im_end|>", bos=True)[1])
