//! GLM 4: norms around the blocks.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::description::Norms;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    for layer in &mut about.layers {
        layer.norms = Norms::AROUND;
    }
    Decoder::load(weights, about)
}
