//! Mamba and Falcon Mamba: nothing but recurrent layers.

use super::{llama, recurrent};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::without_positions(params)?;
    recurrent::mix(&mut about, recurrent::mamba(params)?, |_| true);
    Decoder::load(weights, about)
}
