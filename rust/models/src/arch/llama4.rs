//! Llama 4: chunks of 8192 positions in three layers of four; the fourth sees all positions, has no rotary
//! ones, and its queries grow with their position. An expert's share multiplies its input.

use farthing_kernels::attention::Mask;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::blocks::{Gating, Temperature};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    let chunk = params.size_or("attention.chunk_size", 8192)?;
    let step = params.size_or("interleave_moe_layer_step", 1)?;
    about.sparse(params, |i| (i + 1) % step == 0)?;
    // Scout normalizes queries and keys, Maverick with its 128 experts does not.
    let normed = params.or("expert_count", 0u32)? != 128;
    about.experts(|experts| {
        experts.choice.gating = Gating::Sigmoid;
        experts.shares_before = true;
        experts.shared = experts.width;
    });
    for (i, layer) in about.layers.iter_mut().enumerate() {
        let attention = &mut layer.attention;
        if i % 4 < 3 {
            attention.mask = Mask::Chunk(chunk);
            attention.unit_norms = normed;
            attention.norm_after_rope = true;
        } else {
            attention.rope = None;
            attention.temperature = Some(Temperature { scale: 0.1, length: 8192, offset: 1 });
        }
    }
    Decoder::load(weights, about)
}
