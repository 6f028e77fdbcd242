//! Nemotron H: a layer is one block, be it Mamba 2, attention without positions or a feed-forward layer.

use farthing_kernels::activation::Activation;

use super::{llama, recurrent};
use crate::decoder::Decoder;
use crate::description::{FfnShape, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::without_positions(params)?;
    let alone: Vec<bool> =
        about.layers.iter().map(|layer| !matches!(layer.ffn, FfnShape::Nothing)).collect();
    recurrent::mix(&mut about, recurrent::mamba2(params)?, |i| !alone[i]);
    for layer in &mut about.layers {
        layer.norms = Norms { ffn: Norms::BEFORE.attention, ..Norms::BEFORE };
    }
    about.dense(|ffn| {
        ffn.activation = Activation::ReluSquared;
        ffn.gated = false;
    });
    Decoder::load(weights, about)
}
