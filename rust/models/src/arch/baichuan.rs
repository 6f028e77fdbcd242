//! Baichuan: the 7 B model has rotary positions, the 13 B model of 40 layers ALiBi.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    if about.layers.len() == 40 {
        for layer in &mut about.layers {
            (layer.attention.rope, layer.attention.alibi) = (None, Some(8.0));
        }
    }
    Decoder::load(weights, about)
}
