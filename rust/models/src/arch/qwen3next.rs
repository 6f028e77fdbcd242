//! Qwen 3 Next and Qwen 3.5: three gated delta nets to one layer of gated attention.

use farthing_kernels::recurrence::Sharing;
use farthing_kernels::rope::Pairs;

use super::{llama, recurrent};
use crate::decoder::Decoder;
use crate::description::{Mixing, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    describe(params, weights, Sharing::Grouped)
}

/// Qwen 3.5, whose heads stand in another order.
pub fn tiled(params: &Params, weights: &Weights) -> Result<Decoder> {
    describe(params, weights, Sharing::Tiled)
}

fn describe(params: &Params, weights: &Weights, sharing: Sharing) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.experts(|experts| experts.choice.normalized = true);
    let shape = recurrent::delta_net(params, sharing)?;
    let n = about.layers.len();
    let recurrent = match params.flags("attention.recurrent_layers", n)? {
        Some(flags) => flags,
        None => {
            let period = params.size_or("full_attention_interval", 4)?;
            (0..n).map(|i| i % period < period - 1).collect()
        }
    };
    for (layer, recurrent) in about.layers.iter_mut().zip(recurrent) {
        layer.norms = Norms { ffn: Norms::AFTER.after_attention, ..Norms::BEFORE };
        layer.attention.gated = true;
        if recurrent {
            layer.mixing = Mixing::Recurrent(shape);
        }
    }
    Decoder::load(weights, about)
}
