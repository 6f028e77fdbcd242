"""Old files of the llama family: every version and type becomes the GGUF file it was made from."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from farthing import Model
from farthing.convert import convert
from farthing.convert.contents import Options
from farthing.convert.old_blocks import BEFORE_GGJT_V2, GGJT_V2
from farthing.errors import ModelFileError, RequestError
from models import ID, PIECES, STORY, Tiny
from old_files import Original, edited, llama

VERSIONS = [("GGML", None), ("GGMF", 1), ("GGJT", 1), ("GGJT", 2), ("GGJT", 3)]
OPTIONS = Options(eps=1e-5, context_length=512)


@pytest.mark.parametrize(("magic", "version"), VERSIONS)
@pytest.mark.parametrize("kind", ["F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_weights(tmp_path: Path, magic: str, version: int | None, kind: str) -> None:
    original = Original.read(Tiny(weight_type=kind).write(tmp_path / "original.gguf"))
    old = llama(tmp_path / "old.bin", original, magic, version)
    convert(old, tmp_path / "new.gguf", options=OPTIONS)
    assert Original.read(tmp_path / "new.gguf").tensors == original.tensors


@pytest.mark.parametrize(("magic", "version"), VERSIONS)
def test_logits_and_metadata(tmp_path: Path, magic: str, version: int | None) -> None:
    path = Tiny(weight_type="Q4_1").write(tmp_path / "original.gguf")
    original = Original.read(path)
    convert(
        llama(tmp_path / "old.bin", original, magic, version),
        tmp_path / "new.gguf",
        options=OPTIONS,
    )
    ids = [ID[piece] for piece in STORY[:8]]
    with Model(path) as model, Model(tmp_path / "new.gguf") as converted:
        np.testing.assert_array_equal(converted.logits(ids), model.logits(ids))
        for key, value in model.metadata.items():
            if key.startswith("llama."):
                assert converted.metadata[key] == value, key


@pytest.mark.parametrize(("magic", "version"), VERSIONS)
def test_text_of_a_trained_model(
    data: Path, tmp_path: Path, magic: str, version: int | None
) -> None:
    path = data / "models" / "stories260K-f32.gguf"
    original = Original.read(path)
    # The old formats have no tied matrices.
    original.tensors["output.weight"] = original.tensors["token_embd.weight"]
    old = llama(tmp_path / "old.bin", original, magic, version)
    convert(old, tmp_path / "new.gguf", options=OPTIONS)
    prompt = "Once upon a time, Zoë said: "
    with Model(path) as model, Model(tmp_path / "new.gguf") as converted:
        assert converted.tokenizer.encode(prompt) == model.tokenizer.encode(prompt)
        wanted = model.generate(prompt, temperature=0, max_tokens=60)
        found = converted.generate(prompt, temperature=0, max_tokens=60)
        assert found.text == wanted.text
        ids = model.tokenizer.encode(prompt)
        np.testing.assert_array_equal(converted.logits(ids), model.logits(ids))


def test_vocabulary(tmp_path: Path) -> None:
    original = Original.read(Tiny().write(tmp_path / "original.gguf"))
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += ["▁a", "", "é"]
    tokens += [f"word{place}" for place in range(len(PIECES) - len(tokens))]
    original.metadata["tokenizer.ggml.tokens"] = tokens
    for magic, version in VERSIONS[:2]:
        convert(llama(tmp_path / "old.bin", original, magic, version), tmp_path / "new.gguf")
        about = Original.read(tmp_path / "new.gguf").metadata
        assert about["tokenizer.ggml.tokens"] == tokens
        assert about["tokenizer.ggml.token_type"][:262] == [2, 3, 3, *[6] * 256, 1, 3, 1]
        scores = about["tokenizer.ggml.scores"]
        if version is None:
            assert scores[:262] == [*[0.0] * 260, -1.0, -2.0]
        else:
            assert scores == original.metadata["tokenizer.ggml.scores"]


def test_defaults(tmp_path: Path) -> None:
    original = Original.read(Tiny().write(tmp_path / "original.gguf"))
    convert(llama(tmp_path / "old.bin", original, "GGJT", 3), tmp_path / "new.gguf")
    about = Original.read(tmp_path / "new.gguf").metadata
    assert about["llama.context_length"] == 2048
    assert about["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(5e-6)
    assert about["llama.rope.freq_base"] == 10000


def old_values(kind: str, version: int, block: bytes) -> list[float]:
    """An old block's weights, by the formulas of its time."""
    n_scales = 2 if kind.endswith("_1") else 1
    scales = struct.unpack_from(f"<{n_scales}{'e' if kind.startswith('Q5') else 'f'}", block)
    if kind == "Q8_0":
        return [scales[0] * value for value in struct.unpack("<32b", block[-32:])]
    packed = block[-16:]
    fifth = struct.unpack("<I", block[-20:-16])[0] if kind.startswith("Q5") else 0
    values = []
    for at in range(32):
        byte, high = (at // 2, at % 2) if version < 2 else (at % 16, at // 16)
        value = packed[byte] >> 4 * high & 15 | (fifth >> at & 1) << 4
        if n_scales == 2:
            values.append(scales[0] * value + scales[1])
        else:
            values.append(scales[0] * (value - (16 if kind == "Q5_0" else 8)))
    return values


@pytest.mark.parametrize(
    ("version", "kind"), [*((1, kind) for kind in BEFORE_GGJT_V2), *((2, kind) for kind in GGJT_V2)]
)
def test_blocks_mean_the_same(version: int, kind: str) -> None:
    layout = (BEFORE_GGJT_V2 if version == 1 else GGJT_V2)[kind]
    random = np.random.default_rng(7)
    # Scales that no float16 is equal to.
    scales = random.uniform(0.01, 0.02, (5, layout.n_scales)).astype(layout.scales)
    rest = random.integers(0, 256, (5, layout.n_rest), np.uint8)
    old = np.concatenate([scales.view(np.uint8), rest], axis=1)
    new = np.frombuffer(layout.today(old.tobytes()), np.uint8).reshape(5, -1)
    found = gguf.dequantize(new, gguf.GGMLQuantizationType[kind])
    wanted = [old_values(kind, version, block.tobytes()) for block in old]
    np.testing.assert_allclose(found, wanted, rtol=2**-10, atol=0.02 * 2**-10)


def test_scale_beyond_float16(tmp_path: Path) -> None:
    original = Original.read(Tiny(weight_type="Q4_0").write(tmp_path / "original.gguf"))
    old = llama(tmp_path / "old.bin", original, "GGJT", 2)
    place = old.read_bytes().index(b"tok_embeddings.weight")
    at = -(-(place + len("tok_embeddings.weight")) // 32) * 32
    edited(old, lambda data: struct.pack_into("<f", data, at + 20, 1e6))
    with pytest.raises(ModelFileError, match=r"token_embd.*block 1 has the scales \[1000000"):
        convert(old, tmp_path / "new.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.bin", "original.gguf"]


@pytest.mark.parametrize("length", [0, 3, 4, 7, 30, 36, 5000, 20000, -1])
def test_cut_short(tmp_path: Path, length: int) -> None:
    original = Original.read(Tiny().write(tmp_path / "original.gguf"))
    old = llama(tmp_path / "old.bin", original, "GGJT", 3)
    old.write_bytes(old.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=r"old\.bin"):
        convert(old, tmp_path / "new.gguf")
    assert not (tmp_path / "new.gguf").exists()


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (4, 9, "GGJT version 9 is not known, known are: 1, 2, 3"),
        (8, 2**31, "the size of the vocabulary is 2147483648, must be 3 to 1048576"),
        (12, 65, "the width 65 is not a multiple of the 4 heads"),
        (20, 0, "the number of heads is 0"),
        (24, 3, "blk.2"),
        (36, 2**32 - 1, "the length of token 0 is 4294967295, must be 0 to 4096"),
    ],
)
def test_hostile_header(tmp_path: Path, at: int, value: int, words: str) -> None:
    original = Original.read(Tiny().write(tmp_path / "original.gguf"))
    old = llama(tmp_path / "old.bin", original, "GGJT", 3)
    edited(old, lambda data: struct.pack_into("<I", data, at, value))
    with pytest.raises(ModelFileError, match=words):
        convert(old, tmp_path / "new.gguf")
    assert not (tmp_path / "new.gguf").exists()


@pytest.mark.parametrize(
    ("back", "value", "words"),
    [
        (20, 5, "the number of dimensions of tensor 0 is 5, must be 1 to 2"),
        (12, 4, r"tensor 'token_embd.weight' has type 4, must be one of 0 \(F32\)"),
        (8, 2**20, "tensor 'token_embd.weight' of shape .* needs .* are left"),
        (4, 2**20, "tensor 'token_embd.weight' of shape .* needs .* are left"),
    ],
)
def test_hostile_tensor(tmp_path: Path, back: int, value: int, words: str) -> None:
    original = Original.read(Tiny().write(tmp_path / "original.gguf"))
    old = llama(tmp_path / "old.bin", original, "GGJT", 3)
    at = old.read_bytes().index(b"tok_embeddings.weight") - back
    edited(old, lambda data: struct.pack_into("<I", data, at, value))
    with pytest.raises(ModelFileError, match=words):
        convert(old, tmp_path / "new.gguf")


def test_progress_and_an_old_target(tmp_path: Path) -> None:
    original = Original.read(Tiny(weight_type="F16").write(tmp_path / "original.gguf"))
    old = llama(tmp_path / "old.bin", original, "GGJT", 1)
    target = tmp_path / "new.gguf"
    target.write_text("before")
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(old, target, progress=stop)
    assert target.read_text() == "before"
    assert not target.with_name("new.gguf.partial").exists()
    seen.clear()
    convert(old, target, progress=lambda done, total: seen.append((done, total)))
    n_bytes = sum(len(data) for _, _, data in original.tensors.values())
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, n_bytes), (n_bytes, n_bytes))


def test_options() -> None:
    for bad in (0, -1e-5, float("nan"), float("inf")):
        with pytest.raises(RequestError, match="eps is .*, must be more than 0"):
            Options(eps=bad)


def test_not_to_be_converted(tmp_path: Path) -> None:
    path = Tiny().write(tmp_path / "original.gguf")
    with pytest.raises(ModelFileError, match="is a GGUF file already"):
        convert(path, tmp_path / "new.gguf")
    with pytest.raises(RequestError, match="the file to write is the file to read"):
        convert(path, path)
    with pytest.raises(ModelFileError, match="no such file"):
        convert(tmp_path / "none.bin", tmp_path / "new.gguf")
    other = llama(tmp_path / "old.bin", Original.read(path), "GGMF", 1)
    edited(other, lambda data: data.__setitem__(slice(0, 4), b"abcd"))
    with pytest.raises(ModelFileError, match=r"begins with b'abcd', known are b'lmgg' \(GGML\)"):
        convert(other, tmp_path / "new.gguf")
