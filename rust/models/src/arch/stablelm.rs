//! StableLM: layers without a norm of their own for the second block are parallel.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::description::Norms;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    for (i, layer) in about.layers.iter_mut().enumerate() {
        if !weights.has(&format!("blk.{i}.ffn_norm.weight")) {
            (layer.norms, layer.parallel) = (Norms::SHARED, true);
        }
    }
    Decoder::load(weights, about)
}
