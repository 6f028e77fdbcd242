//! Granite 4 and Bamba: Mamba 2 and now and then attention, which knows of positions in Bamba only.

use super::{granite, recurrent};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = granite::describe(params, weights)?;
    about.experts(|experts| experts.choice.normalized = true);
    recurrent::mix(&mut about, recurrent::mamba2(params)?, |_| true);
    if !params.or("rope.scaling.finetuned", true)? {
        for layer in &mut about.layers {
            layer.attention.rope = None;
        }
    }
    Decoder::load(weights, about)
}
