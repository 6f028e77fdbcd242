"""Documents into rows of equal length for training."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import numpy as np

from farthing.demo.training.corpus import documents
from farthing.demo.training.vocabulary import EOS, START, Encoder

WITHOUT_BOS = 0.15  # part of the documents, since callers differ in whether they add it


class Rows(NamedTuple):
    """Three arrays (rows, length): ids, the number of the document, whether the loss counts."""

    tokens: np.ndarray
    segments: np.ndarray
    wanted: np.ndarray


def marked(encoder: Encoder, text: str, bos: bool) -> tuple[list[int], list[bool]]:
    """Ids of a document and which of them the model must say itself: the answers, or all of a
    document that is no conversation."""
    ids = encoder.encode(text, bos)
    start, end = encoder.ids[START], encoder.ids[EOS]
    header = encoder.encode("assistant\n", bos=False)
    if start not in ids:
        return ids, [True] * len(ids)
    marks = [False] * len(ids)
    speaking = False
    for i, token in enumerate(ids):
        marks[i] = speaking
        if token == end:
            speaking = False
        if ids[i + 1 - len(header) : i + 1] == header and ids[i - len(header)] == start:
            speaking = True
    return ids, marks


def rows(encoder: Encoder, seed: int, length: int, turns: int) -> Iterator[Rows]:
    """Rows without end, one at a time, filled with whole documents."""
    rng = Random(seed)
    stream = documents(seed, turns)
    pool: list[tuple[list[int], list[bool]]] = []
    while True:
        tokens, segments, wanted = (np.zeros(length, np.int32) for _ in range(3))
        at = number = 0
        while at < length:
            while len(pool) < 32:
                ids, marks = marked(encoder, next(stream).text, rng.random() >= WITHOUT_BOS)
                if len(ids) <= length:
                    pool.append((ids, marks))
            fitting = [i for i, (ids, _) in enumerate(pool) if len(ids) <= length - at]
            if not fitting:
                break
            pick = fitting[0] if at < length // 2 else max(fitting, key=lambda i: len(pool[i][0]))
            ids, marks = pool.pop(pick)
            number += 1
            tokens[at : at + len(ids)] = ids
            segments[at : at + len(ids)] = number
            wanted[at : at + len(ids)] = marks
            at += len(ids)
        yield Rows(tokens, segments, wanted)


def batches(encoder: Encoder, seed: int, length: int, turns: int, batch: int) -> Iterator[Rows]:
    """Stacks of `batch` rows."""
    source = rows(encoder, seed, length, turns)
    while True:
        yield Rows(
            *(
                np.stack(column)
                for column in zip(*(next(source) for _ in range(batch)), strict=True)
            )
        )
