"""Which tokens end a generation.

Files name at most one or two of them; the others are known by their spelling, as in llama.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass

from farthing.tokenization.vocabulary import TokenType, Vocabulary

END_OF_TURN = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<turn|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<｜end▁of▁sentence｜>",
    "<end_of_utterance>",
)
END_OF_MESSAGE = ("<|eom_id|>",)
OTHER_ENDS = (
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "[EOS]",
    "<eos>",
    "<|tool_response>",
    "[e~[",
)
FILL_IN_MIDDLE_ENDS = (
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
)
ENDS = (*END_OF_TURN, *END_OF_MESSAGE, *OTHER_ENDS)

_SENTENCE_END = "</s>"
"""Counts only where its type says so: in other vocabularies it is HTML's end of struck text."""


@dataclass(frozen=True)
class Ends:
    """The tokens that end a turn, a message, or whatever was being generated."""

    eot: int | None
    eom: int | None
    all: frozenset[int]


def find_ends(vocabulary: Vocabulary, eos: int | None) -> Ends:
    """Look the spellings up; the file's own ids come first."""
    ids = vocabulary.find((*ENDS, *FILL_IN_MIDDLE_ENDS, _SENTENCE_END))
    eot = _named_or_spelled(vocabulary, ids, "eot", END_OF_TURN)
    eom = _named_or_spelled(vocabulary, ids, "eom", END_OF_MESSAGE)
    ends = {ids[text] for text in (*ENDS, *FILL_IN_MIDDLE_ENDS) if text in ids}
    ends |= {token_id for token_id in (eos, eot, eom) if token_id is not None}
    for name in ("fim_pad", "fim_rep", "fim_sep"):
        token_id = vocabulary.token_id(name)
        if token_id is not None:
            ends.add(token_id)
    sentence_end = ids.get(_SENTENCE_END)
    if sentence_end is not None and vocabulary.type_of(sentence_end) != TokenType.NORMAL:
        ends.add(sentence_end)
    if _end_closes_only_a_part(ids):
        ends.discard(ids["<|end|>"])
    return Ends(eot, eom, frozenset(ends))


def _named_or_spelled(
    vocabulary: Vocabulary, ids: dict[str, int], name: str, spellings: tuple[str, ...]
) -> int | None:
    token_id = vocabulary.token_id(name)
    if token_id is not None:
        return token_id
    return next((ids[text] for text in spellings if text in ids), None)


def _end_closes_only_a_part(ids: dict[str, int]) -> bool:
    """In Harmony's and Solar's formats `<|end|>` closes one part of an answer, not the answer."""
    if "<|end|>" not in ids:
        return False
    call = "<|call|>" in ids or "<|calls|>" in ids
    return call and ("<|return|>" in ids or "<|flush|>" in ids)
