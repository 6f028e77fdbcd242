"""Files whose metadata is not as usual: what is missing has a default or is named in the error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_files import CONTEXT, LAYERS, Small, tokens

from farthing import FarthingError, Model

IDS = tokens(40)
PLAIN = Small(kv_heads=4, metadata={"rope.freq_base": 10000.0})


def logits(small: Small, folder: Path) -> Any:
    with Model(small.write(folder / "small.gguf"), n_ctx=CONTEXT) as model:
        return model.logits(IDS)


@pytest.mark.parametrize(
    "metadata",
    [
        {"rope.freq_base": None},
        {"attention.head_count_kv": None},
        {"context_length": None},
        {"rope.dimension_count": 16},
        {"attention.key_length": 16, "attention.value_length": 16},
        {"attention.head_count": [4] * LAYERS},
        {"attention.head_count_kv": [4] * LAYERS},
        {"feed_forward_length": [160] * LAYERS},
        {"rope.scaling.type": "none"},
        {"rope.scaling.type": "linear", "rope.scaling.factor": 1.0},
        {"rope.scaling.type": "dynamic", "rope.scaling.factor": 4.0},
        {"rope.scaling.type": "ntk", "rope.scaling.factor": 4.0},
        {"expert_count": 0, "expert_used_count": 0},
        {"attention.sliding_window": 8},
        {"vocab_size": 7},
    ],
    ids=str,
)
def test_the_same_said_otherwise(metadata: dict[str, Any], tmp_path: Path) -> None:
    usual = logits(PLAIN, tmp_path)
    other = replace(PLAIN, metadata={**PLAIN.metadata, **metadata})
    assert np.array_equal(logits(other, tmp_path), usual)


@pytest.mark.parametrize(
    "key",
    [
        "block_count",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.layer_norm_rms_epsilon",
    ],
)
def test_what_must_be_there(key: str, tmp_path: Path) -> None:
    missing = key.replace("rms_", "")
    with pytest.raises(FarthingError, match=rf"small\.gguf.*llama\.{missing}"):
        logits(replace(PLAIN, metadata={key: None}), tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("attention.head_count", [4] * 3, "3 sizes.*2 of them"),
        ("attention.head_count_kv", 3, "3.*a divisor of the 4 query heads"),
        ("attention.head_count_kv", [4, 3], "3.*a divisor of the 4 query heads"),
        ("rope.dimension_count", 18, "18.*even and at most the head's 16"),
        ("rope.scaling.type", "spiral", "spiral.*none, linear, longrope or yarn"),
        ("block_count", 0, "0.*between 1 and"),
        ("expert_used_count", 9, "9.*at most 8"),
    ],
)
def test_what_cannot_be(key: str, value: Any, text: str, tmp_path: Path) -> None:
    metadata = {"expert_count": 8} if key.startswith("expert") else {}
    with pytest.raises(FarthingError, match=rf"small\.gguf.*llama\.{key}.*{text}"):
        logits(replace(PLAIN, metadata={**metadata, key: value}), tmp_path)


def test_a_layer_without_attention(tmp_path: Path) -> None:
    small = replace(PLAIN, metadata={**PLAIN.metadata, "attention.head_count": [4, 0]})
    assert not np.allclose(logits(small, tmp_path), logits(PLAIN, tmp_path))


def test_unknown_architectures(tmp_path: Path) -> None:
    with pytest.raises(FarthingError, match='"lama3".*nearest.* llama,'):
        logits(replace(PLAIN, architecture="lama3"), tmp_path)
