//! Falcon H1: attention and Mamba 2 side by side in each layer.

use farthing_kernels::rope::Pairs;

use super::{llama, recurrent};
use crate::decoder::Decoder;
use crate::description::Mixing;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    let shape = recurrent::mamba2(params)?;
    for layer in &mut about.layers {
        layer.mixing = Mixing::Both(shape);
    }
    Decoder::load(weights, about)
}
