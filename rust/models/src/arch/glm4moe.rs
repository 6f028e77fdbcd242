//! GLM 4.5 and 4.6: the second block's norm has another name.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    for layer in &mut about.layers {
        layer.norms.ffn = Some("post_attention_norm");
    }
    // The last layers predict further tokens.
    let extra = params.or("nextn_predict_layers", 0u32)? as usize;
    let n = about.layers.len();
    about.layers.truncate(n.saturating_sub(extra).max(1));
    Decoder::load(weights, about)
}
