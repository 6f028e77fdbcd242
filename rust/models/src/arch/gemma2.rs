//! Gemma 2 (arXiv:2408.00118): Gemma with norms around the blocks, capped scores and logits, and a window
//! in every other layer.

use super::gemma;
use crate::decoder::Decoder;
use crate::description::Norms;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = gemma::describe(params, weights)?;
    let local = about.windows(params, |i| i % 2 == 0)?;
    debug_assert_eq!(local.len(), about.layers.len());
    about.output.softcap = Some(params.or("final_logit_softcapping", 30.0)?);
    let softcap = params.or("attn_logit_softcapping", 50.0)?;
    let d = about.d as f32;
    // The 27 B model alone divides by the share of the width instead of by a head's size.
    let whole = about.layers.len() == 46;
    for layer in &mut about.layers {
        layer.norms = Norms::AROUND;
        layer.attention.softcap = Some(softcap);
        if whole {
            layer.attention.scale = (d / layer.attention.heads as f32).powf(-0.5);
        }
    }
    Decoder::load(weights, about)
}
