//! Phi 3.5 MoE (arXiv:2409.12136): norms with mean and variance, experts chosen by SparseMixer.

use farthing_kernels::norm::NormKind;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::blocks::Gating;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.norm.kind = NormKind::Layer;
    about.experts(|experts| experts.choice.gating = Gating::SparseMixer);
    Decoder::load(weights, about)
}
