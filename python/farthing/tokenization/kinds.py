"""The kinds of vocabulary: a row per value of `tokenizer.ggml.model`.

To add one: a file with a `build` function like the others, and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from farthing.errors import ModelFileError, UnsupportedModelError

if TYPE_CHECKING:
    from tokenizers.decoders import Decoder
    from tokenizers.models import Model
    from tokenizers.normalizers import Normalizer
    from tokenizers.pre_tokenizers import PreTokenizer

    from farthing._native import TokenBytes, TokenModel
    from farthing.tokenization.vocabulary import Vocabulary


def no_hf_model() -> Model:
    """Says that there is none."""
    raise UnsupportedModelError("the package `tokenizers` has no model for this kind of vocabulary")


@dataclass(frozen=True)
class Parts:
    """What a kind makes of a vocabulary."""

    token_bytes: TokenBytes
    """What ordinary (not special) tokens mean."""
    tokens: TokenModel | None = None
    """From pieces to ids; None where `hf_model` does it."""
    hf_model: Callable[[], Model] = no_hf_model
    """Makes the same for `tokenizers`; raises `UnsupportedModelError` if it has no such kind."""
    hf_normalizer: Callable[[], Normalizer] | None = None
    """Makes for `tokenizers` what `tokens` does to a piece first."""
    decoder: Decoder | None = None
    normalizer: Normalizer | None = None
    pre_tokenizer: PreTokenizer | None = None
    space_prefix: bool = False
    """Encoding puts a space before the text, and decoding takes it away again."""
    add_bos: bool = False
    add_eos: bool = False
    add_sep: bool = False
    """End with the separator token (BERT)."""


@dataclass(frozen=True)
class Kind:
    """A row of the table."""

    module: str
    """The file of this package whose `build(vocabulary)` gives the `Parts`."""
    default_ids: dict[str, int] = field(default_factory=dict)
    """Special tokens when the file names none."""


KINDS = {
    "llama": Kind("spm", {"bos": 1, "eos": 2, "unknown": 0}),
    "gpt2": Kind("bpe"),
    "gemma4": Kind("gemma4"),
    "whitespace": Kind("whitespace"),
    "bert": Kind("bert", {"bos": 101, "unknown": 100, "seperator": 102, "padding": 0, "mask": 103}),
    "t5": Kind("unigram", {"eos": 1, "unknown": 2, "padding": 0}),
    "rwkv": Kind("rwkv"),
    "plamo2": Kind("plamo2", {"bos": 1, "eos": 2, "unknown": 0, "padding": 3}),
}


def kind_of(metadata: Mapping[str, Any]) -> Kind:
    """The row for a file; raises `UnsupportedModelError` for a kind that has none."""
    name = metadata.get("tokenizer.ggml.model")
    if name in (None, "none", "no_vocab"):
        raise ModelFileError(f"the file has no vocabulary: tokenizer.ggml.model is {name!r}")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnsupportedModelError(
            f"tokenizer.ggml.model is {name!r}; supported are {', '.join(sorted(KINDS))}"
        )
    return kind


def build_parts(kind: Kind, vocabulary: Vocabulary) -> Parts:
    """Run the kind's file; it is imported here, since it imports `tokenizers`."""
    from importlib import import_module

    parts: Parts = import_module(f"farthing.tokenization.{kind.module}").build(vocabulary)
    return parts
