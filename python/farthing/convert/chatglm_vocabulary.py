"""The vocabularies of ChatGLM2, ChatGLM3 and GLM-4: tokens, special tokens and chat templates.

Special tokens are not in the files; their numbers follow those that are, in the order of the
models' own tokenizers. ChatGLM2 and 3 call two of them "sop" and "eop"; here they have GLM-4's
brackets, so that words such as "philosophy" do not hold one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from farthing.convert.contents import Value, floats, integers
from farthing.convert.sentencepiece import BPE, parse
from farthing.convert.tiktoken import merges, ranks, spelled

logger = logging.getLogger(__name__)

_NORMAL, _CONTROL, _UNUSED = 1, 3, 5

_PREFIX = ("[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>")
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
_MEDIA = ("<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>")

_ROUNDS = (
    "[gMASK]<sop>{% set rounds = namespace(n=0) %}"
    "{% for message in messages %}"
    "{% if message.role == 'user' %}{% set rounds.n = rounds.n + 1 %}"
    "[Round {{ rounds.n }}]\n\n问：{{ message.content }}\n\n答："
    "{% elif message.role == 'assistant' %}{{ message.content }}\n\n{% endif %}"
    "{% endfor %}"
)
_TURNS = (
    "[gMASK]<sop>{% for message in messages %}"
    "<|{{ 'observation' if message.role == 'tool' else message.role }}|>\nSPACE"
    "{{ message.content }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def chatglm2(data: bytes, size: int) -> dict[str, Value]:
    """GGUF's keys for a vocabulary of `size` tokens; raises ValueError for what is none."""
    return _pieces(data, size, _PREFIX) | {"tokenizer.chat_template": _ROUNDS}


def chatglm3(data: bytes, size: int) -> dict[str, Value]:
    """The same with tokens for roles; SentencePiece puts a space before a message's text."""
    template = _TURNS.replace("SPACE", " ")
    return _pieces(data, size, _PREFIX + _ROLES) | {"tokenizer.chat_template": template}


def glm4(data: bytes, size: int) -> dict[str, Value]:
    """The same for tiktoken's form."""
    found = ranks(data)
    special = ("<|endoftext|>", *_PREFIX, *_ROLES, *_MEDIA)
    tokens = [spelled(token) for token in found]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "chatglm-bpe",
        **_tokens(tokens, [_NORMAL] * len(tokens), special, size),
        "tokenizer.ggml.merges": merges(found),
        "tokenizer.chat_template": _TURNS.replace("SPACE", ""),
    }


def _pieces(data: bytes, size: int, special: Sequence[str]) -> dict[str, Value]:
    model = parse(data)
    if model.model_type != BPE:
        raise ValueError(f"the SentencePiece model is of type {model.model_type}, must be {BPE}")
    if model.normalizer:
        logger.warning(
            "the vocabulary normalizes text by %s, which GGUF has no key for: unusual characters "
            "may become other tokens",
            model.normalizer,
        )
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        **_tokens(model.pieces, model.types, special, size),
        "tokenizer.ggml.scores": floats([*model.scores, *[0.0] * (size - len(model.scores))]),
        "tokenizer.ggml.add_space_prefix": model.space_prefix,
    }


def _tokens(
    tokens: Sequence[str | bytes], types: Sequence[int], special: Sequence[str], size: int
) -> dict[str, Value]:
    """The tokens, the special ones and what fills up the embedding's rows."""
    n_unused = size - len(tokens) - len(special)
    if n_unused < 0:
        raise ValueError(
            f"the vocabulary has {len(tokens)} and {len(special)} special tokens, the embedding "
            f"{size} rows"
        )
    unused = [f"[unused {place}]" for place in range(n_unused)]
    place = {text: len(tokens) + at for at, text in enumerate(special)}
    ends = {"eot": "<|user|>", "eom": "<|observation|>"}
    return {
        "tokenizer.ggml.tokens": [*tokens, *special, *unused],
        "tokenizer.ggml.token_type": integers(
            [*types, *[_CONTROL] * len(special), *[_UNUSED] * n_unused]
        ),
        "tokenizer.ggml.add_bos_token": False,
        **{
            f"tokenizer.ggml.{name}_token_id": place[text]
            for name, text in ends.items()
            if text in place
        },
    }
