//! Qwen 2, and what else is Llama with rotary pairs of halves; biases and norms of single heads are found in
//! the file.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    Decoder::load(weights, llama::describe(params, weights, Pairs::Halves)?)
}
