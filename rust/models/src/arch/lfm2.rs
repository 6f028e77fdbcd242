//! LFM 2, dense and with experts: short convolutions and attention.

use farthing_kernels::rope::Pairs;

use super::{llama, recurrent};
use crate::blocks::RecurrentShape;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    let shape = RecurrentShape::ShortConv(params.size("shortconv.l_cache")?);
    recurrent::mix(&mut about, shape, |_| true);
    about.windows(params, |_| true)?;
    about.experts(|experts| experts.choice.normalized = true);
    about.output.norm = Some("token_embd_norm");
    Decoder::load(weights, about)
}
