//! MPT: ALiBi or learned positions; queries, keys and values perhaps bounded.

use farthing_kernels::activation::Activation;

use super::llama;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::without_positions(params)?;
    about.embedding.positions = weights.has("position_embd.weight");
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::Gelu, false));
    let positive = |key: &str| Ok::<_, Error>(params.opt(key)?.filter(|&value: &f32| value > 0.0));
    let (alibi, clamp) = (positive("attention.max_alibi_bias")?, positive("attention.clamp_kqv")?);
    for layer in &mut about.layers {
        (layer.attention.alibi, layer.attention.clamp) = (alibi, clamp);
    }
    Decoder::load(weights, about)
}
