//! Qwen 1: the file's width is that of gate and other matrix together.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.dense(|ffn| ffn.width /= 2);
    Decoder::load(weights, about)
}
