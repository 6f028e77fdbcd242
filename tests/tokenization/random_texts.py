"""Random Unicode texts that try what tokenizers get wrong."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random

_SCRIPTS = [
    (0x20, 0x7E),
    (0xA0, 0x17F),
    (0x370, 0x3FF),
    (0x400, 0x4FF),
    (0x590, 0x5FF),
    (0x600, 0x6FF),
    (0x900, 0x97F),
    (0xE00, 0xE7F),
    (0x1000, 0x109F),
    (0x1100, 0x11FF),
    (0x1E00, 0x1EFF),
    (0x2000, 0x206F),
    (0x2150, 0x218F),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xFF00, 0xFFEF),
    (0x10400, 0x1044F),
    (0x1F300, 0x1F6FF),
    (0x20000, 0x2A6DF),
]
_TEXT = r"""
the The THE hello World don't I'M we'll you'VE it's l'été naïve camelCase snake_case x86_64 3.14
1e-9 12345678901 0xFF v2.0 e.g. U.S.A. https://example.org/?q=a%20b#c if(x==1){return;} <b>bold</b>
</s> <unk> [INST] ``` --- ... !!! ?! ,,, ;-) $100 €5 @me #tag 你好，世界。 中文和English混排
日本語テスト カタカナ 한국어 문장 Привет мир Ελληνικά עברית العربية ٣٤٥ १२३ नमस्ते ไทย ၁၂ Größe
İstanbul ǅ ﬁ Å ½ ² Ⅷ ①
"""
_WORDS = _TEXT.split()
_EMOJI = ["👩\u200d🔬", "👨\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈", "👍🏽", "🇩🇪", "1️⃣", "☺️", "🦊"]
_SPACES = [*"   \n\t\r\x0b\x85\u00a0\u3000\u2003\u200b\u2028", "\r\n"]


@cache
def _of_category(category: str) -> str:
    """A few hundred characters of a general category, spread over the planes."""
    characters = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) == category
    ]
    return "".join(characters[:: len(characters) // 400 + 1])


def random_texts(seed: int, count: int, spellings: Sequence[str] = ()) -> Iterator[str]:
    """Texts of up to some 20 pieces; `spellings` are those of special tokens."""
    random = Random(seed)

    def one_of(*categories: str) -> str:
        return random.choice(_of_category(random.choice(categories)))

    pieces = [
        lambda: random.choice(_WORDS),
        lambda: random.choice(_WORDS),
        lambda: random.choice(_EMOJI),
        lambda: random.choice(_SPACES) * random.choice([1, 1, 2, 3, 5, 17]),
        lambda: " ",
        lambda: "\n" * random.randint(1, 5),
        lambda: str(random.randrange(10 ** random.randint(1, 12))),
        lambda: "".join(chr(random.randint(*random.choice(_SCRIPTS))) for _ in range(3)),
        lambda: _run(random),
        lambda: one_of("Mn", "Mc", "Me") + one_of("Mn", "Mc", "Me"),
        lambda: one_of("Cc", "Cf", "Co", "Cn"),
        lambda: one_of("Lt", "Lm", "Nl", "No", "Pc", "Pd", "Sk", "Sm", "Sc", "So", "Zs"),
        lambda: random.choice(spellings) if spellings else "",
    ]
    for _ in range(count):
        yield "".join(random.choice(pieces)() for _ in range(random.randint(1, 20)))


def _run(random: Random) -> str:
    low, high = random.choice(_SCRIPTS)
    return "".join(chr(random.randint(low, high)) for _ in range(random.randint(1, 8)))
