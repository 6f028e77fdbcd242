"""Token ids to text, one at a time."""

from __future__ import annotations

import codecs
from collections.abc import Callable


class Detokenizer:
    """Turns a stream of ids into pieces of text that never split a character.

    The pieces and the final `flush` join to exactly the text that decoding all ids at once gives;
    bytes that are not UTF-8 become U+FFFD in the same places.
    """

    def __init__(self, token_bytes: Callable[[int], bytes], *, strip_space: bool = False) -> None:
        """`token_bytes` gives an id's bytes, none for those to leave out.

        `strip_space` drops the text's first character if it is a space.
        """
        self._token_bytes = token_bytes
        self._strip_space = strip_space
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The text that became certain with this token, often empty within a character."""
        return self._feed(self._token_bytes(token_id))

    def flush(self) -> str:
        """What an unfinished character leaves: U+FFFD or nothing. The stream starts anew."""
        text = self._feed(b"", final=True)
        self._decoder.reset()
        return text

    def _feed(self, raw: bytes, final: bool = False) -> str:
        if self._strip_space and raw:
            self._strip_space = False
            raw = raw.removeprefix(b" ")
        return self._decoder.decode(raw, final)
