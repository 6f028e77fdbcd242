//! Nomic BERT (Nussbaum et al. 2024, arXiv:2402.01613): BERT with rotary positions, and gates or, in every
//! other layer of the second version, experts.

use farthing_kernels::activation::Activation;
use farthing_kernels::rope::Pairs;

use super::bert;
use crate::decoder::Decoder;
use crate::description::Description;
use crate::error::Result;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = describe(params, weights)?;
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::Silu, true));
    Decoder::load(weights, about)
}

pub fn with_experts(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = describe(params, weights)?;
    let period = params.or("moe_every_n_layers", 0u32)? as usize;
    about.sparse(params, |i| period > 0 && i % period == 1)?;
    about.experts(|experts| (experts.activation, experts.gated) = (Activation::Gelu, false));
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::Gelu, false));
    Decoder::load(weights, about)
}

/// BERT with rotary positions.
pub fn describe(params: &Params, weights: &Weights) -> Result<Description> {
    let mut about = bert::describe(params, weights)?;
    let k_dim = about.layers[0].attention.kv.k_dim;
    about.ropes.push(Rope::new(params, weights, Pairs::Halves, k_dim)?);
    for layer in &mut about.layers {
        layer.attention.rope = Some(0);
    }
    Ok(about)
}
