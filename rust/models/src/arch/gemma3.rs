//! Gemma 3 (arXiv:2503.19786): five layers with a window and rotary positions of their own to each without.

use farthing_kernels::rope::Pairs;

use super::gemma;
use crate::decoder::Decoder;
use crate::description::{Description, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    Decoder::load(weights, describe(params, weights)?)
}

/// What it has in common with its encoders.
pub fn describe(params: &Params, weights: &Weights) -> Result<Description> {
    let mut about = gemma::describe(params, weights)?;
    let local = about.windows(params, |i| i % 6 < 5)?;
    let k_dim = about.layers[0].attention.kv.k_dim;
    about.ropes.push(Rope::local(params, Pairs::Halves, k_dim, 10_000.0)?);
    about.output.softcap = params.opt("final_logit_softcapping")?;
    let d = about.d as f32;
    // The 27 B model alone divides by the share of the width instead of by a head's size.
    let whole = about.layers.len() == 62;
    for (layer, local) in about.layers.iter_mut().zip(local) {
        layer.norms = Norms::AROUND;
        layer.attention.rope = Some(usize::from(local));
        if whole {
            layer.attention.scale = (d / layer.attention.heads as f32).powf(-0.5);
        }
    }
    Ok(about)
}
