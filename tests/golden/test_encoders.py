"""Encoders and rerankers against transformers: vectors of tokens, pooled and not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from encoder_reference import EncoderReference
from small_encoders import SmallEncoder, tokens

from farthing import Model, UnsupportedModelError

SMALL = """
    bert distilbert xlm-roberta nomic-bert modern-bert gemma-embedding t5encoder
    bert-reranker qwen3-reranker
"""
"""Files in `models/arch-small`, each beside its numbers and their tolerance."""
OWN = Path(__file__).parents[1] / "data" / "encoders"
"""Files like those, made by `make_architectures.py`."""


class Golden(NamedTuple):
    """A file and what transformers makes of some tokens."""

    path: Path
    kind: str
    ids: list[int]
    expected: npt.NDArray[np.float32]
    tolerance: float

    @classmethod
    def read(cls, numbers: Path) -> Golden:
        path = numbers.with_name(f"{numbers.stem}-f32.gguf")
        with np.load(numbers) as golden:
            ids, tolerance = golden["tokens"].tolist(), float(golden["tolerance"])
            return cls(path, str(golden["kind"]), ids, golden["hf"], tolerance)

    def agrees(self, found: npt.NDArray[np.float32]) -> bool:
        most = float(np.abs(self.expected).max())
        return float(np.abs(found - self.expected).max()) < self.tolerance * most


@pytest.mark.parametrize("small", SMALL.split())
def test_small_files(data: Path, small: str) -> None:
    check(Golden.read(data / "models" / "arch-small" / f"{small}.npz"))


@pytest.mark.parametrize("own", sorted(OWN.glob("*.npz")), ids=lambda path: path.stem)
def test_own_files(own: Path) -> None:
    check(Golden.read(own))


def check(golden: Golden) -> None:
    """Compare all numbers, then the same from other threads, passes and in company."""
    pooling = "none" if golden.kind == "encoder" else "rank"
    with Model(golden.path, kv_type="f32", n_threads=1) as model:
        whole = model.embed([golden.ids], pooling)[0]
        assert golden.agrees(whole)
        if pooling == "none":
            check_poolings(model, golden.ids, whole)
    others = [golden.ids[:40], golden.ids, golden.ids[5:6]]
    with Model(golden.path, kv_type="f32", n_threads=2, n_batch=7, max_sequences=2) as model:
        together = model.embed(others, pooling)
        alone = [model.embed([ids], pooling)[0] for ids in others]
    assert np.array_equal(together[1], whole)
    assert all(map(np.array_equal, together, alone))


def check_poolings(model: Model, ids: list[int], vectors: npt.NDArray[np.float32]) -> None:
    pooled = {
        "mean": vectors.astype(np.float64).mean(axis=0),
        "cls": vectors[0],
        "last": vectors[-1],
    }
    for pooling, expected in pooled.items():
        found = model.embed([ids], pooling, normalize=False)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[0], expected, atol=1e-5)
        unit = model.embed([ids], pooling)[0]
        np.testing.assert_allclose(unit, expected / np.linalg.norm(expected), atol=1e-6)
    assert model.info["pooling"] == "mean", "what it is where the file says nothing"
    assert np.array_equal(model.embed([ids]), model.embed([ids], "mean"))
    with pytest.raises(UnsupportedModelError, match="no classifier"):
        model.embed([ids], "rank")
    with pytest.raises(UnsupportedModelError, match="encoder"):
        model.generate(ids)
    with pytest.raises(UnsupportedModelError, match="encoder"):
        model.logits(ids)


@pytest.fixture
def sentences(data: Path) -> list[dict[str, Any]]:
    golden = json.loads((data / "models" / "golden.json").read_text(encoding="utf-8"))
    return golden["models"]["all-minilm-l6-v2-f16.gguf"]


def test_sentences(data: Path, sentences: list[dict[str, Any]]) -> None:
    expected = np.array([case["embedding"] for case in sentences], np.float32)
    texts = [case["text"] for case in sentences]
    with Model(data / "models" / "all-minilm-l6-v2-f16.gguf") as model:
        assert [model.tokenizer.encode(text) for text in texts] == [c["ids"] for c in sentences]
        found = model.embed(texts)
        # What half-precision weights and keys cost; neighbours are 0.5 apart.
        np.testing.assert_allclose(found, expected, atol=3e-4)
        assert np.array_equal(found, np.concatenate([model.embed([text]) for text in texts]))


KINDS = {
    "jina 2": SmallEncoder("jina-bert-v2", gate="fused", heads=4),
    "jina 2, gates apart, heads no power of two": SmallEncoder(
        "jina-bert-v2", gate="apart", heads=6
    ),
    "jina 2 without gates": SmallEncoder("jina-bert-v2"),
    "jina 2 for code": SmallEncoder("jina-bert-v2", gate="fused", for_code=True),
    "nomic with experts": SmallEncoder("nomic-bert-moe", experts=5),
}


@pytest.mark.parametrize("kind", KINDS)
def test_against_the_reference(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind].write(tmp_path / "small.gguf")
    ids = tokens(150)
    expected = EncoderReference(path).vectors(ids)
    with Model(path, kv_type="f32", n_batch=32) as model:
        np.testing.assert_allclose(model.embed([ids], "none")[0], expected, atol=2e-5)
