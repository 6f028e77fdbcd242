//! Arcee: Llama with squared ReLU without a gate.

use farthing_kernels::activation::Activation;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::ReluSquared, false));
    Decoder::load(weights, about)
}
