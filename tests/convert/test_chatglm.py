"""Files of chatglm.cpp become GGUF files that compute the same."""

from __future__ import annotations

import base64
import struct
from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest

from farthing import Model
from farthing.convert import convert
from farthing.convert.chatglm_vocabulary import chatglm3, glm4
from farthing.convert.sentencepiece import parse
from farthing.errors import ModelFileError, UnsupportedModelError
from old_files import ChatGlm, Original, edited, sentencepiece

SIZE = 320
"""Rows of the embedding."""
WORDS = [("▁a", -1.0), ("ab", -2.0), ("▁ab", -3.0), ("bc", -4.0), ("▁", -5.0), ("a", -6.0)]
WORDS += [("b", -7.0), ("c", -8.0)]
PIECES = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
PIECES += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
PIECES += [(text, score, 1) for text, score in WORDS]
RANKS = [bytes([byte]) for byte in range(256)] + [b"ab", b"bc", b"abc", b" a", b" abc"]
TIKTOKEN = b"".join(base64.b64encode(t) + b" %d\n" % rank for rank, t in enumerate(RANKS))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Original]:
    """A random model with all that a ChatGLM has."""
    path = tmp_path_factory.mktemp("models") / "original.gguf"
    writer = gguf.GGUFWriter(path, "chatglm")
    for key, value in {
        "vocab_size": SIZE,
        "context_length": 64,
        "embedding_length": 64,
        "feed_forward_length": 96,
        "block_count": 2,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "rope.dimension_count": 8,
    }.items():
        writer.add_uint32(f"chatglm.{key}", value)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000)
    writer.add_tokenizer_model("none")
    random = np.random.default_rng(3)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (SIZE, 64)}
    for layer in range(2):
        for name, shape in {
            "attn_norm.weight": (64,),
            "attn_qkv.weight": (128, 64),
            "attn_qkv.bias": (128,),
            "attn_output.weight": (64, 64),
            "ffn_norm.weight": (64,),
            "ffn_up.weight": (192, 64),
            "ffn_down.weight": (64, 96),
        }.items():
            shapes[f"blk.{layer}.{name}"] = shape
    shapes |= {"output_norm.weight": (64,), "output.weight": (SIZE, 64)}
    for name, shape in shapes.items():
        values = random.normal(0, 0.2, shape).astype(np.float32)
        if len(shape) == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, Original.read(path)


FILES = [
    ChatGlm(2, sentencepiece(PIECES), version=1),
    ChatGlm(2, sentencepiece(PIECES)),
    ChatGlm(3, sentencepiece(PIECES)),
    ChatGlm(4, TIKTOKEN, eos=len(RANKS)),
]


@pytest.mark.parametrize("file", FILES, ids=["2-v1", "2-v2", "3-v2", "4-v2"])
def test_weights_and_logits(tmp_path: Path, original: tuple[Path, Original], file: ChatGlm) -> None:
    path, contents = original
    convert(file.write(tmp_path / "old.bin", contents), tmp_path / "new.gguf")
    new = Original.read(tmp_path / "new.gguf")
    assert new.tensors == contents.tensors
    for key, value in contents.metadata.items():
        if key.startswith("chatglm."):
            assert new.metadata[key] == value, key
    ids = [5, 300, 17, 17, 260]
    with Model(path) as model, Model(tmp_path / "new.gguf") as converted:
        np.testing.assert_array_equal(converted.logits(ids), model.logits(ids))
        assert file.eos in converted.tokenizer.eog_ids
        assert converted.generate("abc", max_tokens=2, temperature=0).tokens


def test_logits_of_transformers(data: Path, tmp_path: Path) -> None:
    folder = data / "models" / "arch-small"
    contents = Original.read(folder / "chatglm-f32.gguf")
    file = ChatGlm(3, sentencepiece(PIECES)).write(tmp_path / "old.bin", contents)
    convert(file, tmp_path / "new.gguf")
    with np.load(folder / "chatglm.npz") as golden:
        tokens, expected, tolerance = golden["tokens"], golden["hf"], golden["tolerance"]
    with Model(tmp_path / "new.gguf", kv_type="f32") as model:
        logits = model.logits(tokens.tolist())
    assert np.abs(logits - expected).max() < tolerance * np.abs(expected).max()


def test_chat_of_chatglm3(tmp_path: Path, original: tuple[Path, Original]) -> None:
    convert(FILES[2].write(tmp_path / "old.bin", original[1]), tmp_path / "new.gguf")
    with Model(tmp_path / "new.gguf") as model:
        ids = model.tokenizer.encode(
            model.chat_template.render([{"role": "user", "content": "ab"}]),
            parse_special=True,
            add_special=False,
        )
        texts = [model.metadata["tokenizer.ggml.tokens"][i] for i in ids]
        # SentencePiece puts its space also before a line break that begins a text.
        assert texts == ["[gMASK]", "<sop>", "<|user|>", "▁", "<0x0A>", "▁ab", "<|assistant|>"]
        assert {"<|user|>", "<|observation|>", "</s>"} <= {
            model.metadata["tokenizer.ggml.tokens"][i] for i in model.tokenizer.eog_ids
        }


def test_chat_of_glm4(tmp_path: Path, original: tuple[Path, Original]) -> None:
    convert(FILES[3].write(tmp_path / "old.bin", original[1]), tmp_path / "new.gguf")
    with Model(tmp_path / "new.gguf") as model:
        text = model.chat_template.render([{"role": "user", "content": "x abc"}])
        assert text == "[gMASK]<sop><|user|>\nx abc<|assistant|>"
        ids = model.tokenizer.encode(text, parse_special=True, add_special=False)
        first = len(RANKS) + 1
        assert ids == [first + 1, first + 3, first + 6, 10, ord("x"), 260, first + 7]
        assert model.tokenizer.decode(ids[3:6]) == "\nx abc"


def test_chat_of_chatglm2(tmp_path: Path, original: tuple[Path, Original]) -> None:
    convert(FILES[1].write(tmp_path / "old.bin", original[1]), tmp_path / "new.gguf")
    with Model(tmp_path / "new.gguf") as model:
        messages = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ]
        assert model.chat_template.render(messages) == (
            "[gMASK]<sop>[Round 1]\n\n问：a\n\n答：b\n\n[Round 2]\n\n问：c\n\n答："
        )


def test_merges_of_ranks() -> None:
    found = glm4(TIKTOKEN, SIZE)
    # "abc" is made of the pair that the lower rank leaves.
    assert found["tokenizer.ggml.merges"] == ["a b", "b c", "ab c", "Ġ a", "Ġ abc"]
    tokens = found["tokenizer.ggml.tokens"]
    assert tokens[255] == "ÿ"
    assert tokens[0] == "Ā"
    assert len(tokens) == SIZE


def test_vocabulary_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="267 and 9 special tokens, the embedding 270 rows"):
        chatglm3(sentencepiece(PIECES), 270)
    with pytest.raises(ValueError, match="is of type 1, must be 2"):
        chatglm3(sentencepiece(PIECES, model_type=1), SIZE)
    with pytest.raises(ValueError, match="token 2 is not base64"):
        glm4(b"IQ== 0\nIg== 1\n*** 2\n", SIZE)
    with pytest.raises(ValueError, match=r"token 1 is b'\"' of rank b'7'"):
        glm4(b"IQ== 0\nIg== 7\n", SIZE)


def test_sentencepiece_cut_anywhere() -> None:
    data = sentencepiece(PIECES[:4])
    assert parse(data).pieces == [text.encode() for text, _, _ in PIECES[:4]]
    for length in range(len(data)):
        with suppress(ValueError):
            assert len(parse(data[:length]).pieces) <= 4


@pytest.mark.parametrize("length", [4, 8, 30, 64, 300, 6000, 20000, -1])
def test_cut_short(tmp_path: Path, original: tuple[Path, Original], length: int) -> None:
    old = FILES[2].write(tmp_path / "old.bin", original[1])
    old.write_bytes(old.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=r"old\.bin: at offset"):
        convert(old, tmp_path / "new.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["old.bin"]


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (8, 3, "the version is 3, known are 1 and 2"),
        (16, 2**30, "the size of the vocabulary is 1073741824, must be 1 to 1048576"),
        (24, 5, "width 64, 5 heads and 2 heads of keys"),
        (64, 2**31 - 1, "the vocabulary needs 2147483647 bytes"),
    ],
)
def test_hostile_header(
    tmp_path: Path, original: tuple[Path, Original], at: int, value: int, words: str
) -> None:
    old = FILES[2].write(tmp_path / "old.bin", original[1])
    edited(old, lambda data: struct.pack_into("<I", data, at, value))
    with pytest.raises(ModelFileError, match=words):
        convert(old, tmp_path / "new.gguf")


def test_models_that_cannot_be_run(tmp_path: Path, original: tuple[Path, Original]) -> None:
    for file, words in (
        (ChatGlm(1, b""), "ChatGLM-6B .* cannot be run: its positions have two dimensions"),
        (ChatGlm(1024, b""), r"model type 1024 is not supported, only 2 \(ChatGLM2\), 3 "),
        (ChatGlm(2, sentencepiece(PIECES), prefix=128), "has 128 trained prefix vectors"),
    ):
        old = file.write(tmp_path / "old.bin", original[1])
        with pytest.raises(UnsupportedModelError, match=words):
            convert(old, tmp_path / "new.gguf")
