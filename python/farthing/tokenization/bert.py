"""WordPiece vocabularies of BERT (`tokenizer.ggml.model` = "bert").

Files write the start of a word as U+2581 and its later parts bare; BERT's own vocabulary has the
start bare and the later parts behind `##`.
"""

from __future__ import annotations

from tokenizers import decoders, models, normalizers, pre_tokenizers

from farthing._native import TokenBytes
from farthing.tokenization.kinds import Parts
from farthing.tokenization.vocabulary import SPECIAL_TYPES, Vocabulary

_START = "\u2581"
_MAX_WORD = 100


def build(vocabulary: Vocabulary) -> Parts:
    """Lower case without accents unless `tokenizer.ggml.normalizer.lowercase` says otherwise."""
    pieces = {
        _bert_text(text, vocabulary.type_of(token_id)): token_id
        for token_id, text in enumerate(vocabulary.texts)
    }
    unknown = vocabulary.token_id("unknown")
    lowercase = vocabulary.flag("normalizer.lowercase") is not False
    return Parts(
        hf_model=lambda: models.WordPiece(
            pieces,
            unk_token="[UNK]" if unknown is None else vocabulary.text(unknown),
            max_input_chars_per_word=_MAX_WORD,
        ),
        decoder=decoders.WordPiece(cleanup=False),
        token_bytes=TokenBytes.pieces(vocabulary.tokens, vocabulary.types, _START),
        normalizer=normalizers.BertNormalizer(lowercase=lowercase),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        space_prefix=True,
        add_bos=True,
        add_sep=True,
    )


def _bert_text(text: str, token_type: int) -> str:
    if token_type in SPECIAL_TYPES:
        return text
    return text.removeprefix(_START) if text.startswith(_START) else f"##{text}"
