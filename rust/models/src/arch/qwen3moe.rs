//! Qwen 3 with experts, and what else is Llama with experts and rotary pairs of halves.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.experts(|experts| experts.choice.normalized = true);
    Decoder::load(weights, about)
}
