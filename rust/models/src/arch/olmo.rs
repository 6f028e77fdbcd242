//! OLMo: norms without weights; queries, keys and values perhaps bounded.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    about.norm.weighted = false;
    let clamp = params.opt("attention.clamp_kqv")?.filter(|&limit: &f32| limit > 0.0);
    for layer in &mut about.layers {
        layer.attention.clamp = clamp;
    }
    Decoder::load(weights, about)
}
