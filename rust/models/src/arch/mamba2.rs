//! Mamba 2 and Codestral Mamba: nothing but recurrent layers, whose heads have one decay each.

use super::{llama, recurrent};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::without_positions(params)?;
    recurrent::mix(&mut about, recurrent::mamba2(params)?, |_| true);
    Decoder::load(weights, about)
}
