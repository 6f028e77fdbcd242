"""The table of pre-tokenizers."""

from __future__ import annotations

import pytest
from tokenizers import Regex, pre_tokenizers

from farthing.tokenization.pre_tokenizers import PRE_TOKENIZERS

AWKWARD = (
    "It's 12345.67 o'CLOCK\r\n\r\n\tdef f(x):  return x\u00a0 + 1 \n \n"
    "Größe ÉTÉ nǅ e\u0301 नमस्ते 你好，世界 カタカナ 한국어 ٣٤٥ 👩\u200d🔬 \x00\u0378 !!?? #tag   "
)


def cut(name: str, text: str) -> list[str]:
    """The pieces of a text."""
    patterns = PRE_TOKENIZERS[name].patterns
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    return [piece for piece, _ in pre_tokenizers.Sequence(splits).pre_tokenize_str(text)]


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_every_pattern_works_and_loses_nothing(name: str) -> None:
    assert "".join(cut(name, AWKWARD)) == AWKWARD
    assert len(cut(name, AWKWARD)) > 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-2", ["12345"]),
        ("llama-bpe", ["123", "45"]),
        ("qwen2", ["1", "2", "3", "4", "5"]),
        ("starcoder", ["1", "2", "3", "4", "5"]),
        ("deepseek-v3", ["123", "45"]),
        ("gpt-4o", ["123", "45"]),
        ("tekken", ["1", "2", "3", "4", "5"]),
        ("kimi-k2", ["123", "45"]),
        ("cohere2moe", ["12", "345"]),
        ("afmoe", ["12", "345"]),
        ("superbpe", ["12", "345"]),
        ("youtu", ["1", "2", "3", "4", "5"]),
        ("spark2_5", ["1", "2", "3", "4", "5"]),
        ("chameleon", ["1", "2", "3", "4", "5"]),
    ],
)
def test_digits(name: str, expected: list[str]) -> None:
    assert cut(name, "12345") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-2", ["I", "'", "M", " here"]),
        ("llama-bpe", ["I", "'M", " here"]),
        ("gpt-4o", ["I'M", " here"]),
        ("tekken", ["I", "'M", " here"]),
        ("ufakzeka", ["I", "'M", " here"]),
    ],
)
def test_contractions(name: str, expected: list[str]) -> None:
    assert cut(name, "I'M here") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-bpe", ["camelCase"]),
        ("gpt-4o", ["camel", "Case"]),
        ("tekken", ["camel", "Case"]),
    ],
)
def test_capitals(name: str, expected: list[str]) -> None:
    assert cut(name, "camelCase") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen2", ["नमस", "्त", "े"]),
        ("qwen35", ["नमस्ते"]),
        ("gpt-4o", ["नमस्ते"]),
        ("kimi-k2", ["नमस्ते"]),
    ],
)
def test_marks(name: str, expected: list[str]) -> None:
    assert cut(name, "नमस्ते") == expected


def test_han_is_apart_in_kimi() -> None:
    assert cut("kimi-k2", "abc世界def") == ["abc", "世界", "def"]
    assert cut("gpt-4o", "abc世界def") == ["abc世界def"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("superbpe", "by the way, 5", ["by the way, ", "5"]),
        ("exaone-moe", "안녕 하세요, you", ["안녕 하세요", ",", " you"]),
        ("youtu", "가나ㄱ漢字abc", ["가나ㄱ", "漢字", "abc"]),
        ("afmoe", "ไทย漢字abc", ["ไทย漢字", "abc"]),
        ("spark2_5", "a\n\n b", ["a", "\n", "\n", " b"]),
        ("hy_v4", "a\n\n b", ["a", "\n\n", " b"]),
        ("jais-2", "a" + " " * 7, ["a", " " * 4, "  ", " "]),
        ("ufakzeka", "can't", ["can", "'t"]),
        ("gemma4", "a b\n\nc", ["a b", "\n\n", "c"]),
    ],
)
def test_what_is_special(name: str, text: str, expected: list[str]) -> None:
    assert cut(name, text) == expected
