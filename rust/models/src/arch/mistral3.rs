//! Mistral 3 and Ministral 3: queries grow with the logarithm of their position.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::blocks::Temperature;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    if let Some(scale) = params.opt("attention.temperature_scale")? {
        let length = params.size("rope.scaling.original_context_length")?;
        for layer in &mut about.layers {
            layer.attention.temperature = Some(Temperature { scale, length, offset: 0 });
        }
    }
    Decoder::load(weights, about)
}
