//! GPT-2: learned positions.

use farthing_kernels::activation::Activation;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::without_positions(params)?;
    about.embedding.positions = true;
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::GeluTanh, false));
    Decoder::load(weights, about)
}
