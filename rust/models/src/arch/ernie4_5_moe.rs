//! ERNIE 4.5 with experts, in all layers after the first dense ones or in every so many of them.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    about.experts(|experts| experts.choice.normalized = true);
    let step = params.size_or("interleave_moe_layer_step", 1)?;
    about.sparse(params, |i| (i + 1) % step == 0)?;
    Decoder::load(weights, about)
}
