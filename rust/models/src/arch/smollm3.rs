//! SmolLM 3: every fourth layer has no rotary positions.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    for layer in about.layers.iter_mut().skip(3).step_by(4) {
        layer.attention.rope = None;
    }
    Decoder::load(weights, about)
}
