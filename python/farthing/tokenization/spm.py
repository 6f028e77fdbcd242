"""SentencePiece BPE vocabularies (`tokenizer.ggml.model` = "llama").

SentencePiece merges, again and again, the two neighbours whose union is the token with the highest
score, of equals the leftmost. BPE with a list of merges does the same when the list holds every way
to split every token in two tokens, ordered by the score of the union.
"""

from __future__ import annotations

from tokenizers import decoders, models, normalizers

from farthing._native import TokenBytes, TokenModel
from farthing.tokenization.byte_tokens import byte_ids
from farthing.tokenization.kinds import Parts
from farthing.tokenization.vocabulary import SPECIAL_TYPES, TokenType, Vocabulary

SPACE = "\u2581"
"""What SentencePiece writes for a space."""

_BARRED = SPECIAL_TYPES | {TokenType.BYTE}
"""Types that ordinary text never turns into."""


def build(vocabulary: Vocabulary) -> Parts:
    """Merges by score; characters without a token become byte tokens, else the unknown token.

    One unknown token stands for one character (SentencePiece itself joins neighbouring ones).
    """
    unknown = vocabulary.token_id("unknown") or 0
    bytes_ = byte_ids(vocabulary)
    space_prefix = vocabulary.flag("add_space_prefix") is not False
    escape = normalizers.Replace(" ", SPACE)
    steps = [normalizers.Prepend(SPACE), escape] if space_prefix else [escape]
    add_bos = vocabulary.flag("add_bos_token")
    return Parts(
        tokens=TokenModel.spm(
            vocabulary.tokens,
            vocabulary.scores,
            left_out=vocabulary.of_types(_BARRED),
            byte_ids=bytes_,
            unknown=unknown,
        ),
        hf_model=lambda: models.BPE(
            vocabulary.ids,
            merges_by_score(vocabulary),
            unk_token=vocabulary.text(unknown),
            fuse_unk=False,
            byte_fallback=bytes_ is not None,
        ),
        decoder=decoders.Sequence(
            [
                decoders.Replace(SPACE, " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                *([decoders.Strip(content=" ", left=1, right=0)] if space_prefix else []),
            ]
        ),
        token_bytes=TokenBytes.pieces(vocabulary.tokens, vocabulary.types, SPACE),
        normalizer=normalizers.Sequence(steps),
        space_prefix=space_prefix,
        add_bos=True if add_bos is None else add_bos,
        add_eos=vocabulary.flag("add_eos_token") or False,
    )


def merges_by_score(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Every split of every token in two tokens, highest score first, then lowest id.

    For `tokenizers`, which merges nothing by score.
    """
    pieces = {
        text: token_id
        for text, token_id in vocabulary.ids.items()
        if vocabulary.type_of(token_id) not in _BARRED
    }
    scores = vocabulary.scores
    merges = []
    for text in sorted(pieces, key=lambda piece: -scores[pieces[piece]]):
        for cut in range(len(text) - 1, 0, -1):
            left = text[:cut]
            if left in pieces and text[cut:] in pieces:
                merges.append((left, text[cut:]))
    return merges
