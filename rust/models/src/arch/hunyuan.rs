//! Hunyuan, dense and with experts: norms of queries and keys come after the rotation.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.experts(|experts| experts.choice.normalized = true);
    for layer in &mut about.layers {
        layer.attention.norm_after_rope = true;
    }
    Decoder::load(weights, about)
}
