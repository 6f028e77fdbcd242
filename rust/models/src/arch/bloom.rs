//! BLOOM: ALiBi, and a norm after the embedding.

use farthing_kernels::activation::Activation;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::without_positions(params)?;
    about.embedding.norm = true;
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::GeluTanh, false));
    for layer in &mut about.layers {
        layer.attention.alibi = Some(8.0);
    }
    Decoder::load(weights, about)
}
