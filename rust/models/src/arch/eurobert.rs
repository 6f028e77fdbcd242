//! EuroBERT (Boizard et al. 2025, arXiv:2503.05500): Llama that looks ahead, without logits.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.look_ahead();
    about.output.logits = false;
    Decoder::load(weights, about)
}
