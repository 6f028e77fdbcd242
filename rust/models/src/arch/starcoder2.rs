//! StarCoder 2: norms with mean and variance, and GELU without a gate.

use farthing_kernels::activation::Activation;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::GeluTanh, false));
    Decoder::load(weights, about)
}
