//! EmbeddingGemma (Schechter Vera et al. 2025, arXiv:2509.20354): Gemma 3 that looks ahead, without logits.

use super::gemma3;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = gemma3::describe(params, weights)?;
    about.look_ahead();
    about.output.logits = false;
    Decoder::load(weights, about)
}
