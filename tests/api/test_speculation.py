"""Guessed tokens: the same text, in fewer passes."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farthing import Model, RequestError
from models import ROUND, Tiny


def test_a_text_that_repeats_is_guessed(slow: Model) -> None:
    plain = slow.generate("a", temperature=0, max_tokens=100, n_draft_max=0, logprobs=2)
    quick = slow.generate("a", temperature=0, max_tokens=100, logprobs=2)
    assert (plain.timings.draft_n, plain.timings.draft_n_accepted) == (0, 0)
    assert quick.timings.draft_n_accepted > 0
    assert quick.timings.draft_n >= quick.timings.draft_n_accepted
    assert (quick.tokens, quick.logprobs) == (plain.tokens, plain.logprobs)
    assert quick.timings.predicted_n == 100


def test_stop_strings_and_cancelling_within_a_draft(slow: Model) -> None:
    whole = slow.generate("a", temperature=0, max_tokens=200).text
    stop = whole[len(whole) // 2 :][:6]
    stopped = slow.generate("a", temperature=0, max_tokens=200, stop=stop)
    assert stopped.text == whole[: whole.index(stop)]
    with slow.stream("a", temperature=0, max_tokens=200) as stream:
        pieces = [piece for _, piece in zip(range(30), stream, strict=False)]
        stream.cancel()
    assert stream.result.finish_reason == "cancelled"
    assert whole.startswith("".join(pieces))
    assert stream.result.text == "".join(pieces)


def test_requests_together(slow: Model) -> None:
    """Sampled texts with seeds do not depend on guesses, nor on other requests."""

    async def all_of_them(n_draft_max: int) -> list[list[int]]:
        answers = await asyncio.gather(
            *(
                slow.agenerate(
                    "a", temperature=1.5, seed=seed, max_tokens=80, n_draft_max=n_draft_max
                )
                for seed in range(6)
            )
        )
        return [answer.tokens for answer in answers]

    assert asyncio.run(all_of_them(16)) == asyncio.run(all_of_them(0))


def test_it_can_be_switched_off(folder: Path) -> None:
    path = Tiny(story=ROUND).write(folder / "round.gguf")
    with Model(path, n_draft_max=0) as model:
        assert model.info["n_draft_max"] == 0
        assert model.generate("a", temperature=0, max_tokens=60).timings.draft_n == 0
    with Model(path, prompt_lookup=False) as model:
        assert not model.info["prompt_lookup"]
        assert model.generate("a", temperature=0, max_tokens=60).timings.draft_n == 0


def test_a_draft_model_guesses(folder: Path, slow_path: Path) -> None:
    # A smaller model of the same vocabulary that goes the same round.
    draft = Tiny(story=ROUND, seed=3).write(folder / "draft.gguf")
    with Model(slow_path, draft=draft, prompt_lookup=False, max_sequences=3, n_ctx=256) as model:
        assert model.draft_path == draft
        plain, quick = (
            model.generate("a", temperature=0, max_tokens=100, logprobs=1, n_draft_max=n)
            for n in (0, 16)
        )
        assert (quick.tokens, quick.logprobs) == (plain.tokens, plain.logprobs)
        assert quick.timings.draft_n_accepted > 10

        def ask(seed: int, n_draft_max: int) -> list[int]:
            return model.generate(
                "a", temperature=1.5, seed=seed, max_tokens=60, n_draft_max=n_draft_max
            ).tokens

        with ThreadPoolExecutor(6) as pool:
            guessed, alone = (list(pool.map(ask, range(6), [n] * 6)) for n in (16, 0))
        assert guessed == alone


def test_a_draft_model_has_the_same_vocabulary(folder: Path, story_path: Path) -> None:
    bare = Tiny(vocabulary=False).write(folder / "bare.gguf")
    with pytest.raises(RequestError, match="of the model and the draft one has a vocabulary"):
        Model(story_path, draft=bare)
    with pytest.raises(RequestError, match='another vocabulary: token 2 is "</s>"'):
        Model("demo", draft=story_path)


def test_bad_numbers_are_named(story_path: Path, story: Model) -> None:
    with pytest.raises(RequestError, match="n_draft_max is -2, but must be an integer of 0 or mor"):
        Model(story_path, n_draft_max=-2)
    with pytest.raises(RequestError, match="n_draft_max is -1, but must be an integer of 0 or mor"):
        story.generate("Once", n_draft_max=-1)


@pytest.mark.parametrize(
    "name",
    [
        "tinystories-656k-q8_0",
        "tinystories-656k-q4_0",
        "tinystories-656k-q5_1",
        "zh-poem-750k-f32",
        "stories260K-f32",
        "quant/tiny-random-llama256-q2_k",
        "quant/tiny-random-llama256-q4_k_s",
        "quant/tiny-random-llama256-q6_k",
        "quant/tiny-random-llama256-iq4_xs",
    ],
)
def test_the_same_to_the_bit(data: Path, name: str) -> None:
    """Each product of several columns gives the bits of one alone: in log-probabilities, too."""
    drafted = 0
    with Model(data / "models" / f"{name}.gguf", n_ctx=256) as model:
        # As a prompt what the model says, so that it has said it before.
        start = model.generate([1], max_tokens=60, seed=9, ignore_eos=True).tokens
        for seed in range(12):
            plain, quick = (
                model.generate(
                    [1, *start, 1],
                    max_tokens=90,
                    temperature=seed % 3 * 0.4,
                    seed=seed,
                    ignore_eos=True,
                    logprobs=3,
                    n_draft_max=n,
                )
                for n in (0, 16)
            )
            assert (quick.tokens, quick.logprobs) == (plain.tokens, plain.logprobs)
            drafted += quick.timings.draft_n
    assert drafted > 0
