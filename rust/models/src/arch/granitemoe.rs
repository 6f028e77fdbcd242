//! Granite 3 with experts.

use super::granite;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = granite::describe(params, weights)?;
    about.experts(|experts| experts.choice.normalized = true);
    Decoder::load(weights, about)
}
