//! Jamba (arXiv:2403.19887): Mamba and now and then attention, which is told nothing of positions; some layers have
//! experts.

use super::{llama, recurrent};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::without_positions(params)?;
    recurrent::mix(&mut about, recurrent::mamba(params)?, |_| true);
    about.sparse(params, |i| weights.has(&format!("blk.{i}.ffn_gate_inp.weight")))?;
    Decoder::load(weights, about)
}
