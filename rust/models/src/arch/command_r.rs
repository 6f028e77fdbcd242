//! Command R: parallel blocks with one norm, scaled logits.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::description::{Description, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    Decoder::load(weights, describe(params, weights)?)
}

/// What Cohere's models have in common.
pub fn describe(params: &Params, weights: &Weights) -> Result<Description> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    about.output.scale = params.or("logit_scale", 1.0)?;
    for layer in &mut about.layers {
        (layer.norms, layer.parallel) = (Norms::SHARED, true);
    }
    Ok(about)
}
