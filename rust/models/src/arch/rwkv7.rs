//! RWKV 7: states from which something is taken away, and values of the first layer in all others.

use super::rwkv6;
use crate::blocks::{RecurrentShape, Rwkv7Shape};
use crate::decoder::Decoder;
use crate::description::Mixing;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let (mut about, heads) = rwkv6::describe(params)?;
    for (i, layer) in about.layers.iter_mut().enumerate() {
        let shape = Rwkv7Shape { heads, first: i == 0 };
        layer.mixing = Mixing::Recurrent(RecurrentShape::Rwkv7(shape));
    }
    Decoder::load(weights, about)
}
