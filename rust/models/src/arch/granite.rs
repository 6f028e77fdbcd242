//! Granite 3: multipliers of embeddings, scores, residuals and logits.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::description::Description;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    Decoder::load(weights, describe(params, weights)?)
}

/// What the Granites have in common.
pub fn describe(params: &Params, weights: &Weights) -> Result<Description> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    about.embedding.scale = params.or("embedding_scale", 1.0)?;
    about.residual_scale = params.or("residual_scale", 1.0)?;
    about.output.scale = 1.0 / params.or("logit_scale", 1f32)?;
    Ok(about)
}
