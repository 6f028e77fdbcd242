//! Phi 1 to 2: one norm for both blocks, which are parallel.

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
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::GeluTanh, false));
    for layer in &mut about.layers {
        (layer.norms, layer.parallel) = (Norms::SHARED, true);
    }
    Decoder::load(weights, about)
}
