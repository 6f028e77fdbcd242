"""Compare ids and the bytes of tokens with llama-cpp-python on random texts. Run by hand:

    pip install llama-cpp-python
    python tests/tokenization/compare_llama_cpp.py --texts 2000 --seed 1 vocabulary.gguf ...

Where llama.cpp leaves what the models' own tokenizers do, those are followed here. Every such cause
is a row of `CAUSES`: a change to the text after which both agree. A difference that no change
explains is printed, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from llama_cpp import Llama, llama_cpp
from random_texts import random_texts

from farthing import _native
from farthing.tokenization import Tokenizer

RETYPED = (
    "</s>",
    "<s>",
    "<｜fim▁begin｜>",
    "<｜fim▁hole｜>",
    "<｜fim▁end｜>",
)
"""Spellings whose type in the file llama.cpp overrides, or that it finds in RWKV's text."""


def without(wanted: Callable[[str], bool]) -> Callable[[str], str]:
    """Drops characters."""
    return lambda text: "".join(character for character in text if not wanted(character))


def drop_spellings(text: str) -> str:
    """Puts a full stop for each."""
    for spelling in RETYPED:
        text = text.replace(spelling, ".")
    return text


def untouched_by_bert(character: str) -> bool:
    """What llama.cpp's table of BERT's normal form gets wrong.

    It drops every mark (BERT only non-spacing ones), keeps one letter of a Hangul syllable, and has
    other control characters, unassigned ones and punctuation beyond ASCII than BERT.
    """
    return (
        unicodedata.category(character)[0] in "MC"
        or unicodedata.category(character) in ("So", "Zl", "Zp")
        or (unicodedata.category(character)[0] == "P" and not character.isascii())
        or "\uac00" <= character <= "\ud7a3"
        or unicodedata.normalize("NFD", character)[0] != character
        or character.lower() != character
    )


CAUSES: Mapping[str, Callable[[str], str]] = {
    "not put in normal form C": lambda text: unicodedata.normalize("NFC", text),
    "type of a token overridden by its spelling": drop_spellings,
    # In patterns such as `\s+` beside ranges that hold such a space; beside tokens that swallow it.
    "white space beyond ASCII": without(lambda c: c.isspace() and not c.isascii()),
    # `tokenizers` merges across a byte that has no token, llama.cpp does not.
    "control characters without a token": without(lambda c: c < " " and c != "\n"),
    "normal form of BERT": without(untouched_by_bert),
}


class Pair:
    """The two tokenizers of one file."""

    def __init__(self, path: str) -> None:
        self.metadata: dict[str, Any] = _native.Gguf(path).fields
        self.ours = Tokenizer.from_metadata(self.metadata)
        self.theirs = Llama(path, vocab_only=True, verbose=False)

    def ids(self, text: str, special: bool) -> tuple[list[int], list[int]]:
        """Ours and theirs, with special tokens parsed and added, or neither."""
        return (
            self.ours.encode(text, add_special=special, parse_special=special),
            self.theirs.tokenize(text.encode(), add_bos=special, special=special),
        )

    def explain(self, text: str, special: bool) -> str | None:
        """The cause of a difference, several joined by "+"; None if there is none known."""
        ours, theirs = self.ids(text, special)
        normal = unicodedata.normalize("NFC", text)
        if self.theirs.tokenize(normal.encode(), add_bos=special, special=special) == ours:
            return next(iter(CAUSES))
        applied = []
        for cause, change in CAUSES.items():
            if self.agree(change(text), special):
                return cause
        for cause, change in CAUSES.items():
            changed = change(text)
            if changed != text:
                applied.append(cause)
                text = changed
            if self.agree(text, special):
                return " + ".join(applied)
        return None

    def agree(self, text: str, special: bool) -> bool:
        """Whether both give the same."""
        ours, theirs = self.ids(text, special)
        return ours == theirs

    def token_differences(self) -> list[int]:
        """Tokens with other bytes. Left out are those that llama.cpp does not write.

        These are unused tokens, and tokens written in plain text in a byte-level vocabulary.
        """
        buffer = ctypes.create_string_buffer(4096)
        vocabulary, different = self.theirs._model.vocab, []
        for token_id in range(self.ours.n_vocab):
            size = llama_cpp.llama_token_to_piece(vocabulary, token_id, buffer, 4096, 0, True)
            piece = buffer.raw[: max(size, 0)]
            known = not piece or piece.startswith(b"[UNK_BYTE_0x")
            if piece != self.ours.token_bytes(token_id) and not known:
                different.append(token_id)
        return different


def compare(path: str, count: int, seed: int) -> int:
    """Prints a line and what has no explanation; gives the number of those."""
    pair = Pair(path)
    causes: Counter[str] = Counter()
    unexplained = []
    spellings = [pair.ours.token_text(i) for i in sorted(pair.ours.special_ids)][:200]
    for text in random_texts(seed, count, spellings):
        for special in (False, True):
            if not pair.agree(text, special):
                cause = pair.explain(text, special)
                causes[cause or "unexplained"] += 1
                if cause is None:
                    unexplained.append((text, special))
    different = pair.token_differences()
    print(f"{path}: {count} texts, {dict(causes)}, {len(different)} tokens with other bytes")
    for text, special in unexplained[:5]:
        ours, theirs = pair.ids(text, special)
        print(f"  {text!a} special={special}\n    ours   {ours}\n    theirs {theirs}")
    for token_id in different[:5]:
        print(f"  token {token_id}: {pair.ours.token_bytes(token_id)!r}")
    return len(unexplained) + len(different)


def main() -> None:
    """See the top."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    found = sum(compare(path, arguments.texts, arguments.seed) for path in arguments.files)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
