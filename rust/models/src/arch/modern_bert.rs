//! ModernBERT (Warner et al. 2024, arXiv:2412.13663): rotary positions, norms before the blocks and gates; two
//! layers with a window and rotary positions of their own to each without.

use farthing_kernels::activation::Activation;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::abilities::Pooling;
use crate::decoder::Decoder;
use crate::description::{NormShape, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.norm = NormShape::layer(params)?;
    about.look_ahead();
    // A number says how many layers there are to each without a window, which is the first of them.
    let (key, n) = ("attention.sliding_window_pattern", about.layers.len());
    let period = params.period(key)?;
    let local = match params.flags(key, n)?.filter(|_| period.is_none()) {
        Some(local) => local,
        None => (0..n).map(|i| i % period.unwrap_or(3) > 0).collect(),
    };
    let local = about.window_of(params, local)?;
    let activation = match params.or("hidden_activation", "gelu")? {
        "gelu" => Activation::Gelu,
        "silu" => Activation::Silu,
        other => return Err(params.wrong("hidden_activation", other, "gelu or silu")),
    };
    about.dense(|ffn| ffn.activation = activation);
    about.embedding.norm = true;
    about.output.logits = false;
    about.head.activation = Some(Activation::Gelu);
    about.head.classified.get_or_insert(Pooling::Mean);
    let k_dim = about.layers[0].attention.kv.k_dim;
    about.ropes.push(Rope::local(params, Pairs::Halves, k_dim, 10_000.0)?);
    for (i, (layer, local)) in about.layers.iter_mut().zip(local).enumerate() {
        layer.attention.rope = Some(usize::from(local));
        if !weights.has(&format!("blk.{i}.attn_norm.weight")) {
            layer.norms = Norms { attention: None, ..Norms::BEFORE };
        }
    }
    Decoder::load(weights, about)
}
