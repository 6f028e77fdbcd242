//! BERT (Devlin et al. 2019, arXiv:1810.04805), DistilBERT, RoBERTa and XLM-RoBERTa: learned positions, norms of
//! the stream itself, and no logits.

use farthing_kernels::activation::Activation;

use super::llama;
use crate::decoder::Decoder;
use crate::description::{Description, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = describe(params, weights)?;
    about.embedding.positions = true;
    Decoder::load(weights, about)
}

/// What BERT and its descendants have in common, without positions.
pub fn describe(params: &Params, weights: &Weights) -> Result<Description> {
    let mut about = llama::without_positions(params)?;
    about.look_ahead();
    about.embedding.types = weights.has("token_types.weight");
    about.embedding.norm = true;
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::Gelu, false));
    for layer in &mut about.layers {
        layer.norms = Norms::OF_THE_SUM;
    }
    (about.output.norm, about.output.logits) = (None, false);
    Ok(about)
}
