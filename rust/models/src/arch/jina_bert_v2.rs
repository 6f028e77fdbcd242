//! Jina embeddings 2 (Günther et al. 2023, arXiv:2310.19923): BERT with ALiBi in both directions and, mostly, gates.
//! The model for code has norms of queries and keys, a second one of the stream, and the gates last.

use super::bert;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = bert::describe(params, weights)?;
    let for_code = weights.has("blk.0.attn_norm_2.weight");
    let rows = weights.shape("blk.0.ffn_up.weight")?.get(1).copied();
    let apart = weights.has("blk.0.ffn_gate.weight");
    about.dense(|ffn| {
        ffn.gated = apart || rows == Some(2 * ffn.width);
        ffn.gate_last = for_code;
    });
    for layer in &mut about.layers {
        layer.attention.alibi = Some(8.0);
        layer.norms.again = for_code.then_some("attn_norm_2");
    }
    Decoder::load(weights, about)
}
