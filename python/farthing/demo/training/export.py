"""Writes the trained weights as the GGUF file of the package.

    python -m farthing.demo.training.export OUT demo.gguf

OUT is the folder `train.py` wrote. Matrices become Q8_0, norms stay F32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np

from farthing.demo.training.config import Config, is_matrix
from farthing.demo.training.corpus import TEMPLATE
from farthing.demo.training.vocabulary import BOS, EOS, load

LIMIT = 2_000_000  # bytes


def write(weights: dict[str, np.ndarray], out: Path, target: Path) -> None:
    """`weights` as in model.py and the vocabulary in the folder `out`, to the file `target`."""
    c = Config()
    tokens = load(out / "vocabulary.json")
    texts = [t.text for t in tokens]
    w = gguf.GGUFWriter(target, "llama")
    w.add_name("Farthing demo")
    w.add_description(
        "A very small model of a little world: stories, easy questions, tool calls, JSON."
    )
    w.add_license("Apache-2.0")
    w.add_languages(["en"])
    w.add_context_length(c.context)
    w.add_embedding_length(c.width)
    w.add_block_count(c.layers)
    w.add_feed_forward_length(c.hidden)
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.kv_heads)
    w.add_layer_norm_rms_eps(c.epsilon)
    w.add_rope_dimension_count(c.head)
    w.add_rope_freq_base(c.rope_base)
    w.add_vocab_size(c.vocabulary)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(texts)
    w.add_token_scores([t.score for t in tokens])
    w.add_token_types([t.type for t in tokens])
    w.add_bos_token_id(texts.index(BOS))
    w.add_eos_token_id(texts.index(EOS))
    w.add_unk_token_id(texts.index("<unk>"))
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(False)
    w.add_chat_template(TEMPLATE)
    tensors = [("token_embd", weights["token_embd"]), ("output_norm", weights["output_norm"])]
    for i in range(c.layers):
        tensors += [
            (f"blk.{i}.{k}", v[i])
            for k, v in weights.items()
            if is_matrix(k) or k in ("attn_norm", "ffn_norm")
        ]
    for name, value in tensors:
        quantized = value.ndim == 2
        data = gguf.quantize(value, gguf.GGMLQuantizationType.Q8_0) if quantized else value
        dtype = gguf.GGMLQuantizationType.Q8_0 if quantized else None
        w.add_tensor(f"{name}.weight", data, raw_dtype=dtype)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    if target.stat().st_size > LIMIT:
        raise SystemExit(f"{target}: {target.stat().st_size} bytes, more than {LIMIT}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    with np.load(args.out / "weights.npz") as weights:
        write({name: weights[name].astype(np.float32) for name in weights}, args.out, args.target)
    print(f"{args.target}: {args.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
