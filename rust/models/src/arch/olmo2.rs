//! OLMo 2 and 3: norms after the blocks; OLMo 3 has three layers with a window to each without.

use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::description::Norms;
use crate::error::Result;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    let local = about.windows(params, |i| i % 4 < 3)?;
    let k_dim = about.layers[0].attention.kv.k_dim;
    // Only layers without a window know of a stretched context.
    about.ropes.push(Rope::local(
        params,
        Pairs::Halves,
        k_dim,
        params.or("rope.freq_base", 10_000.0)?,
    )?);
    for (layer, local) in about.layers.iter_mut().zip(local) {
        layer.norms = Norms::AFTER;
        layer.attention.rope = Some(usize::from(local));
    }
    Decoder::load(weights, about)
}
