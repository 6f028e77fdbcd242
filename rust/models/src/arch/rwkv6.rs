//! RWKV 6: no attention; both blocks look a position back.

use farthing_kernels::recurrence::Wkv;

use super::{llama, recurrent};
use crate::blocks::RecurrentShape;
use crate::decoder::Decoder;
use crate::description::{Description, FfnShape, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let (mut about, heads) = describe(params)?;
    recurrent::mix(&mut about, RecurrentShape::Rwkv6(heads), |_| true);
    // The weights of later layers are divided accordingly.
    let period = params.or("rescale_every_n_layers", 0u32)? as usize;
    for (i, layer) in about.layers.iter_mut().enumerate() {
        layer.halved = period > 0 && (i + 1) % period == 0;
    }
    Decoder::load(weights, about)
}

/// What RWKV's versions have in common, still without first blocks, and their heads.
pub fn describe(params: &Params) -> Result<(Description, Wkv)> {
    let mut about = llama::without_positions(params)?;
    let size = params.size("wkv.head_size")?;
    if !about.d.is_multiple_of(size) {
        let wanted = format!("a divisor of the width {}", about.d);
        return Err(params.wrong("wkv.head_size", size, wanted));
    }
    about.embedding.norm = true;
    let widths = params.per_layer("feed_forward_length", about.layers.len(), None)?;
    for (layer, width) in about.layers.iter_mut().zip(widths) {
        layer.norms = Norms { ffn: Some("attn_norm_2"), ..Norms::BEFORE };
        layer.ffn = FfnShape::ChannelMix(width);
    }
    let heads = Wkv { heads: about.d / size, size };
    Ok((about, heads))
}
