//! gpt-oss (arXiv:2508.10925): a window in every other layer, sinks, clamped gates; the second block's norm has
//! another name.

use farthing_kernels::activation::Activation;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.windows(params, |i| i % 2 == 0)?;
    about.experts(|experts| {
        experts.choice.normalized = true;
        experts.activation = Activation::SiluClamped;
    });
    for layer in &mut about.layers {
        layer.norms.ffn = Some("post_attention_norm");
    }
    Decoder::load(weights, about)
}
