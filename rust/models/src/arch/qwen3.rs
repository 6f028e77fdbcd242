//! Qwen 3: Llama with rotary pairs of halves; the norms of each head are found in the file.

use farthing_kernels::rope::Pairs;

use super::llama::describe;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    Decoder::load(weights, describe(params, weights, Pairs::Halves)?)
}
