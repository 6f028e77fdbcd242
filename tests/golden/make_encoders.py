"""Make the files of `tests/data/encoders`: tiny random encoders with transformers' vectors.

    python tests/golden/make_encoders.py LLAMA_CPP

See `make_architectures.py`. The converter does not take Jina embeddings 3 as transformers has it,
so that file is written here, with the converter's names.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from make_architectures import COMMON, N_VOCAB, convert, randomized, some_tokens

OUTPUT = Path(__file__).resolve().parents[1] / "data" / "encoders"
JINA_3 = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "attn_output_norm",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
    "post_mlp_layernorm": "layer_output_norm",
}


def main() -> None:
    import transformers

    sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]) / "gguf-py")]
    OUTPUT.mkdir(parents=True, exist_ok=True)
    config = transformers.EuroBertConfig(**COMMON, head_dim=8, classifier_pooling="mean")
    model = randomized(transformers.EuroBertModel, config, "eurobert")
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        convert(Path(folder), "EuroBertModel", OUTPUT / "eurobert-f32.gguf")
    save_vectors(model, "eurobert")
    config = transformers.JinaEmbeddingsV3Config(**{**COMMON, "num_key_value_heads": 4})
    model = randomized(transformers.JinaEmbeddingsV3Model, config, "jina-bert-v3")
    write_jina_3(model, OUTPUT / "jina-bert-v3-f32.gguf")
    save_vectors(model, "jina-bert-v3")


def save_vectors(model: Any, name: str) -> None:
    import torch

    tokens = some_tokens()
    with torch.no_grad():
        vectors = model(torch.from_numpy(tokens)[None]).last_hidden_state[0].numpy()
    golden = {"kind": "encoder", "tokens": tokens, "hf": vectors.astype(np.float32)}
    np.savez_compressed(OUTPUT / f"{name}.npz", **golden, tolerance=5e-4)
    print(name, float(np.abs(vectors).max()))


def write_jina_3(model: Any, path: Path) -> None:
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(path, "jina-bert-v3")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(N_VOCAB)
    weights = {key: value.detach().numpy() for key, value in model.named_parameters()}
    for key in list(weights):
        # Queries, keys and values are one matrix in the published model.
        if ".q_proj." in key:
            parts = [weights.pop(key.replace(".q_", f".{part}_")) for part in "qkv"]
            weights[key.replace("self_attn.q_proj", "attn_qkv")] = np.concatenate(parts)
    for key, value in weights.items():
        name = re.sub(r"^layers\.", "blk.", key)
        for theirs, ours in JINA_3.items():
            name = name.replace(f"{theirs}.", f"{ours}.")
        if not name.startswith("pooler."):
            writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
