"""The tokenizer of a model, from the metadata of its file."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from farthing.errors import RequestError
from farthing.tokenization.detokenizer import Detokenizer
from farthing.tokenization.encoder import Encoder, assemble
from farthing.tokenization.end_of_generation import find_ends
from farthing.tokenization.kinds import Kind, build_parts, kind_of
from farthing.tokenization.special_tokens import find_whole_tokens
from farthing.tokenization.vocabulary import TokenType, Vocabulary

if TYPE_CHECKING:
    import tokenizers

    from farthing import _native


class Tokenizer:
    """Text to ids and back. Made by `from_gguf` or `from_metadata`; may be shared among threads."""

    bos_id: int | None
    """Begins a text."""
    eos_id: int | None
    """Ends a text."""
    eot_id: int | None
    """Ends a turn of a chat."""
    eom_id: int | None
    """Ends a message within a turn."""
    unk_id: int | None
    """Stands for a character that has no token."""
    pad_id: int | None
    """Fills up batches."""
    sep_id: int | None
    """Stands between texts."""
    mask_id: int | None
    """Stands for a hidden token."""
    eog_ids: frozenset[int]
    """Every token that ends a generation."""
    special_ids: frozenset[int]
    """Tokens that are not part of the text: control tokens and the unknown token."""
    add_bos: bool
    """Whether `encode` starts with BOS when `add_special` is true."""
    add_eos: bool
    """Whether `encode` ends with EOS when `add_special` is true."""

    def __init__(self, vocabulary: Vocabulary, kind: Kind) -> None:
        """Use `from_metadata`; this takes what it has read."""
        self._vocabulary = vocabulary
        self._parts = build_parts(kind, vocabulary)

        def special_id(name: str) -> int | None:
            token_id = vocabulary.token_id(name)
            if token_id is not None:
                return token_id
            default = kind.default_ids.get(name)
            return default if default is not None and default < len(vocabulary) else None

        cls_id = vocabulary.token_id("cls")
        self.bos_id = special_id("bos") if cls_id is None else cls_id
        self.eos_id = special_id("eos")
        self.unk_id = special_id("unknown")
        self.pad_id = special_id("padding")
        self.sep_id = special_id("seperator")  # spelled so in the format
        self.mask_id = special_id("mask")
        ends = find_ends(vocabulary, self.eos_id)
        self.eot_id, self.eom_id, self.eog_ids = ends.eot, ends.eom, ends.all

        begin = self.bos_id if self._parts.add_bos else None
        end = self.sep_id if self._parts.add_sep else self.eos_id if self._parts.add_eos else None
        self._prefix = [] if begin is None else [begin]
        self._suffix = [] if end is None else [end]
        doubled = vocabulary.flag("add_eos_token") and vocabulary.flag("add_sep_token")
        separator = self.sep_id if doubled else None
        self._between = [*self._suffix, *([] if separator is None else [separator])]
        self.add_bos, self.add_eos = bool(self._prefix), bool(self._suffix)

        named = {self.bos_id, self.eos_id, self.unk_id, self.pad_id, self.sep_id, self.mask_id}
        whole = find_whole_tokens(
            vocabulary, frozenset(i for i in named if i is not None), self.eog_ids
        )
        self.special_ids = whole.special
        self._whole = whole.added | whole.special
        self._plain = Encoder(vocabulary, self._parts, whole.added, self.special_ids)
        self._parsing = Encoder(vocabulary, self._parts, self._whole, self.special_ids)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Tokenizer:
        """The tokenizer that GGUF metadata describes.

        `metadata` has Python values by key, and `bytes` for strings that are not UTF-8; arrays are
        sequences of any type. Raises `UnsupportedModelError` for a kind of vocabulary that is not
        known here and `ModelFileError` for one that is missing or contradicts itself.
        """
        kind = kind_of(metadata)
        return cls(Vocabulary.from_metadata(metadata), kind)

    @classmethod
    def from_gguf(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """The tokenizer of a GGUF file; the file may hold a vocabulary only."""
        from farthing import _native

        return cls.from_metadata(_native.Gguf(os.fspath(path)).fields)

    @cached_property
    def hf(self) -> tokenizers.Tokenizer:
        """The same as a `tokenizers` object, built when first asked for.

        Its `encode` parses special tokens and adds BOS and EOS. Raises `UnsupportedModelError` for
        the kinds that `tokenizers` does not have (RWKV, PLaMo 2).
        """
        parts = self._parts
        hf = assemble(
            parts.hf_model(),
            parts.normalizer if parts.hf_normalizer is None else parts.hf_normalizer(),
            self._vocabulary,
            parts,
            self._whole,
            self.special_ids,
        )
        hf.post_processor = self._post_processor()
        return hf

    @cached_property
    def for_grammars(self) -> _native.Vocabulary:
        """The tokens as grammars need them, built when first asked for."""
        from farthing import _native

        return _native.Vocabulary(
            self._parts.token_bytes,
            special=sorted(self.special_ids),
            unused=self._vocabulary.of_types([TokenType.UNUSED]),
            ends=sorted(self.eog_ids),
        )

    @property
    def n_vocab(self) -> int:
        """The number of ids."""
        return len(self._vocabulary)

    def encode(self, text: str, add_special: bool = True, parse_special: bool = False) -> list[int]:
        """The ids of a text.

        `add_special` adds BOS and EOS as the model wants them. `parse_special` lets special tokens
        written in the text (`<|im_end|>`) stand for themselves; without it they are ordinary text.
        Raises `RequestError` for a text with a lone surrogate, which is not Unicode text.
        """
        encoder = self._parsing if parse_special else self._plain
        try:
            ids = encoder.encode(text)
        except (TypeError, UnicodeEncodeError) as error:
            raise _not_text(text) from error
        return self.add_special(ids) if add_special else ids

    def add_special(self, ids: Sequence[int]) -> list[int]:
        """The ids of a text with BOS and EOS as the model wants them."""
        return [*self._prefix, *ids, *self._suffix]

    def add_special_pair(self, first: Sequence[int], second: Sequence[int]) -> list[int]:
        """Two texts as a reranker reads them: in BERT `[CLS] first [SEP] second [SEP]`."""
        return [*self._prefix, *first, *self._between, *second, *self._suffix]

    def encode_prompt(self, prompt: str) -> list[int]:
        """The ids of a rendered chat: special tokens parsed, BOS added unless it is written there.

        Nothing is added at the end, where generation goes on.
        """
        ids = self.encode(prompt, add_special=False, parse_special=True)
        return ids if ids[:1] == self._prefix else [*self._prefix, *ids]

    def decode(
        self, ids: Iterable[int], skip_special: bool = True, continuation: bool = False
    ) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD.

        `skip_special` leaves `special_ids` out, else they are written as `token_text` has them.
        Vocabularies that put a space before a text (SPM) have it taken away again, unless
        `continuation` says that the ids go on from an earlier text. Apart from that space the
        result is exact: nothing is cleaned up.
        """
        detokenizer = self.detokenizer(skip_special, continuation)
        return "".join(map(detokenizer.push, ids)) + detokenizer.flush()

    def detokenizer(
        self,
        skip_special: bool = True,
        continuation: bool = True,
        shown: Container[int] = frozenset(),
    ) -> Detokenizer:
        """An incremental `decode`. It is a continuation unless told otherwise: of the prompt.

        Special tokens in `shown` are never left out.
        """
        strip_space = self._parts.space_prefix and not continuation

        def bytes_shown(token_id: int) -> bytes:
            left_out = token_id in self.special_ids and token_id not in shown
            return b"" if left_out else self.token_bytes(token_id)

        token_bytes = bytes_shown if skip_special else self.token_bytes
        return Detokenizer(token_bytes, strip_space=strip_space)

    def token_text(self, token_id: int) -> str:
        """A token as the file writes it: `▁the`, `Ġthe`, `<0x0A>`, `<|im_end|>`."""
        return self._vocabulary.text(self._checked(token_id))

    def token_bytes(self, token_id: int) -> bytes:
        """What a token means: its part of the text in UTF-8; a special token's spelling."""
        if self._checked(token_id) in self.special_ids:
            return self._vocabulary.raw(token_id)
        return self._parts.token_bytes[token_id]

    def _checked(self, token_id: int) -> int:
        if not 0 <= token_id < len(self._vocabulary):
            raise RequestError(
                f"token id {token_id} is outside the vocabulary of {len(self._vocabulary)} tokens"
            )
        return token_id

    def _post_processor(self) -> Any:
        from tokenizers.processors import TemplateProcessing

        # Named by number: a colon or a dollar sign in a token's text would mean something here.
        names = {i: f"token{i}" for i in (*self._prefix, *self._suffix)}
        return TemplateProcessing(
            single=[*(names[i] for i in self._prefix), "$A", *(names[i] for i in self._suffix)],
            special_tokens=[
                {"id": name, "ids": [i], "tokens": [self._vocabulary.text(i)]}
                for i, name in names.items()
            ],
        )


def _not_text(text: object) -> Exception:
    """The error for what `tokenizers` does not take as text."""
    if not isinstance(text, str):
        return TypeError(f"text must be a str, not {type(text).__name__}")
    place = next(i for i, character in enumerate(text) if "\ud800" <= character <= "\udfff")
    return RequestError(f"the text holds a lone surrogate, U+{ord(text[place]):04X}, at {place}")
