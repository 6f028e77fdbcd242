"""Queries and documents to scores: what a reranker reads, and what becomes of its scores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from farthing.errors import RequestError
from farthing.types import RankedDocument

if TYPE_CHECKING:
    from farthing.api.embedding import Vectors
    from farthing.tokenization import Tokenizer

TEMPLATE = "tokenizer.chat_template.rerank"
"""The key of a file's text for rerankers, with `{query}` and `{document}` in it."""


def checked(documents: Iterable[str], top_n: int | None) -> list[str]:
    """The documents as a list; raises RequestError for what cannot be ranked."""
    if isinstance(documents, str):
        raise RequestError("documents is a str, but must be a list of texts")
    if top_n is not None and top_n < 1:
        raise RequestError(f"top_n is {top_n}, but must be 1 or more")
    return list(documents)


def pair_ids(
    tokenizer: Tokenizer, template: str | None, query: str, document: str, n_ctx: int | None
) -> list[int]:
    """The ids of a query and a document together; with `n_ctx`, the document is cut to fit.

    Without a template the two texts stand side by side with the separators of the model.
    """
    if template is None:
        first, second = (tokenizer.encode(text, add_special=False) for text in (query, document))
        ids = tokenizer.add_special_pair(first, second)
        over = 0 if n_ctx is None else max(len(ids) - n_ctx, 0)
        return tokenizer.add_special_pair(first, second[: max(len(second) - over, 0)])
    ids = _filled(tokenizer, template, query, document)
    while n_ctx is not None and len(ids) > n_ctx and document:
        plain = tokenizer.encode(document, add_special=False)
        document = tokenizer.decode(plain[: n_ctx - len(ids)])
        ids = _filled(tokenizer, template, query, document)
    return ids


def _filled(tokenizer: Tokenizer, template: str, query: str, document: str) -> list[int]:
    texts = {"{query}": query, "{document}": document}
    text = re.sub("|".join(map(re.escape, texts)), lambda found: texts[found[0]], template)
    return tokenizer.encode(text, add_special=False, parse_special=True)


def ranked(scores: Vectors, documents: list[str], top_n: int | None) -> list[RankedDocument]:
    """The best first; of equal ones the earlier. `scores` is `[n_documents, n_labels]`."""
    rows = zip(documents, scores, strict=True)
    found = [RankedDocument(i, float(row[0]), text) for i, (text, row) in enumerate(rows)]
    return sorted(found, key=lambda document: -document.relevance_score)[:top_n]
