//! Falcon 1 and 2: parallel blocks, in the larger models each with a norm.

use farthing_kernels::activation::Activation;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::description::Norms;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::Gelu, false));
    for (i, layer) in about.layers.iter_mut().enumerate() {
        (layer.norms, layer.parallel) = (Norms::SHARED, true);
        if weights.has(&format!("blk.{i}.attn_norm_2.weight")) {
            layer.norms.attention = Some("attn_norm_2");
            layer.norms.ffn = Some("attn_norm");
        }
    }
    Decoder::load(weights, about)
}
