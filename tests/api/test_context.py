"""What the context holds, and what happens when it is full."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farthing import ContextLengthError, Model, RequestError
from models import ID, STORY, Shape, Tiny

N_CTX = 96
GREEDY: dict[str, Any] = {"temperature": 0, "ignore_eos": True}
PROMPT = [ID["<s>"], *range(30, 70)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Tiny(story=STORY[:3]).write(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def model(path: Path) -> Iterator[Model]:
    with Model(path, n_ctx=N_CTX, kv_type="f32") as model:
        yield model


@pytest.mark.parametrize(("n_keep", "kept"), [(None, 1), (0, 1), (10, 11), (-1, len(PROMPT))])
def test_a_shift_is_a_new_request_for_what_is_left(
    model: Model, n_keep: int | None, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    options = GREEDY if n_keep is None else GREEDY | {"n_keep": n_keep}
    with caplog.at_level(logging.INFO, logger="farthing"):
        result = model.generate(PROMPT, max_tokens=300, context_shift=True, **options)
    expected, thrown = shifted_plainly(model, PROMPT, 300, kept)
    assert result.tokens == expected
    assert (result.context_shifted, result.finish_reason) == (thrown, "length")
    assert result.usage.completion_tokens == 300
    [record] = caplog.records
    assert record.getMessage() == f"the context was full: {thrown} tokens were thrown away"


def shifted_plainly(model: Model, prompt: list[int], n: int, keep: int) -> tuple[list[int], int]:
    """The definition: one token after the other."""
    tokens, answer, thrown = list(prompt), [], 0
    while len(answer) < n:
        answer.append(int(model.logits(tokens)[-1].argmax()))
        tokens.append(answer[-1])
        if len(tokens) > N_CTX and len(answer) < n:
            gap = (N_CTX - keep + 1) // 2
            del tokens[keep : keep + gap]
            thrown += gap
    return answer, thrown


def test_streams_say_it_too(model: Model) -> None:
    stream = model.stream(PROMPT, max_tokens=100, context_shift=True, **GREEDY)
    assert len("".join(stream)) > 0
    assert stream.result.context_shifted > 0
    assert len(stream.result.tokens) == 100


def test_by_default_the_answer_ends(model: Model, path: Path) -> None:
    result = model.generate(PROMPT, **GREEDY)
    assert (result.finish_reason, len(result.tokens)) == ("length", N_CTX - len(PROMPT))
    assert result.context_shifted == 0
    with Model(path, n_ctx=N_CTX, context_shift=True) as shifting:
        assert len(shifting.generate(PROMPT, max_tokens=200, **GREEDY).tokens) == 200
        ended = shifting.generate(PROMPT, max_tokens=200, context_shift=False, **GREEDY)
        assert len(ended.tokens) == N_CTX - len(PROMPT)


def test_a_prompt_that_does_not_fit_is_an_error_also_with_a_shift(model: Model) -> None:
    for shift in (False, True):
        with pytest.raises(ContextLengthError, match=r"has 200 tokens; the context of 96 tokens"):
            model.generate([5] * 200, context_shift=shift)


def test_what_is_kept_must_make_sense(model: Model) -> None:
    with pytest.raises(RequestError, match="n_keep is 3, but must be left out without"):
        model.generate(PROMPT, n_keep=3)
    with pytest.raises(RequestError, match="n_keep is -2"):
        model.generate(PROMPT, n_keep=-2, context_shift=True)
    with pytest.raises(RequestError, match="context_shift is 'yes'"):
        model.generate(PROMPT, context_shift="yes")  # type: ignore[typeddict-item]


def test_the_numbers_are_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="farthing"), Model(path, n_ctx=N_CTX) as model:
        info = model.info
    assert info["kv_bytes_per_token"] == 2 * 2 * 2 * 16 * 2
    assert not info["n_ctx_fitted"]
    [line] = [r.getMessage() for r in caplog.records if "context of" in r.getMessage()]
    assert line.startswith(
        "a context of 96 tokens: 96 asked for, 512 in training; each takes 256 bytes of the"
    )


def test_a_context_is_fitted_to_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = Tiny(shape=Shape(context=1 << 30)).write(tmp_path / "long.gguf")
    with caplog.at_level(logging.INFO, logger="farthing"), Model(path, kv_type="q8_0") as model:
        info = model.info
    assert info["n_ctx_fitted"]
    assert info["n_ctx"] < info["n_ctx_train"] == 1 << 30
    assert info["kv_bytes"] <= info["kv_bytes_available"]
    line = next(r.getMessage() for r in caplog.records if "fitted to memory" in r.getMessage())
    assert line.startswith(f"a context of {info['n_ctx']} tokens, fitted to memory: none asked for")
