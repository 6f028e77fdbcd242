//! MiniCPM: multipliers of embeddings, residuals and logits, which older files leave out.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    let depth = about.layers.len() as f32;
    about.embedding.scale = params.or("embedding_scale", 12.0)?;
    about.residual_scale = params.or("residual_scale", 1.4 / depth.sqrt())?;
    about.output.scale = 1.0 / params.or("logit_scale", about.d as f32 / 256.0)?;
    Decoder::load(weights, about)
}
