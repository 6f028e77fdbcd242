//! EXAONE 4: norms after the blocks; the 32 B model has three layers with a window and rotary positions to
//! one with neither.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::description::Norms;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    let local = about.windows(params, |i| i % 4 < 3)?;
    let mixed = local.contains(&true);
    for (layer, local) in about.layers.iter_mut().zip(local) {
        layer.norms = Norms::AFTER;
        if mixed && !local {
            layer.attention.rope = None;
        }
    }
    Decoder::load(weights, about)
}
