//! dots.llm1: Llama with norms of heads and experts, whose shares are sigmoids even where the file does not say
//! so.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::blocks::Gating;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    if !params.has("expert_gating_func") {
        about.experts(|experts| experts.choice.gating = Gating::Sigmoid);
    }
    Decoder::load(weights, about)
}
