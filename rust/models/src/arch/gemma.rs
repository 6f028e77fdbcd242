//! Gemma: scaled embeddings, GELU; the norms' weights have their 1 added in the file.

use farthing_kernels::activation::Activation;
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

/// What the Gemmas have in common.
pub fn describe(params: &Params, weights: &Weights) -> Result<Description> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.embedding.scale = (about.d as f32).sqrt();
    about.dense(|ffn| ffn.activation = Activation::GeluTanh);
    Ok(about)
}
