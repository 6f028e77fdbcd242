//! Command R7B and Command A: three layers with a window and rotary positions to one with neither.

use super::command_r;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = command_r::describe(params, weights)?;
    let local = about.windows(params, |i| i % 4 < 3)?;
    for (layer, local) in about.layers.iter_mut().zip(local) {
        layer.attention.rope = local.then_some(0);
    }
    Decoder::load(weights, about)
}
