//! Jina embeddings 3 (Sturua et al. 2024, arXiv:2409.10173), without its adapters: XLM-RoBERTa with rotary
//! positions.

use super::nomic_bert;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    Decoder::load(weights, nomic_bert::describe(params, weights)?)
}
