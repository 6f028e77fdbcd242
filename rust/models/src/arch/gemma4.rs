//! Gemma 4: heads of another size in layers with a window, per-layer embeddings, keys and values shared by
//! the last layers, experts beside a dense layer.

use farthing_kernels::activation::Activation;
use farthing_kernels::kv::KvShape;
use farthing_kernels::rope::Pairs;

use super::gemma;
use crate::decoder::Decoder;
use crate::description::{Dense, FfnShape, LayerShape, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = gemma::describe(params, weights)?;
    let local = about.windows(params, |i| i % 6 < 5)?;
    let KvShape { k_dim, v_dim, .. } = about.layers[0].attention.kv;
    let k_local = params.size_or("attention.key_length_swa", k_dim)?;
    let v_local = params.size_or("attention.value_length_swa", v_dim)?;
    about.ropes.push(Rope::local(params, Pairs::Halves, k_local, 10_000.0)?);
    about.output.softcap = params.opt("final_logit_softcapping")?;
    let width = params.or("embedding_length_per_layer_input", 0u32)? as usize;
    about.embedding.per_layer = (width > 0).then_some(width);
    let widths = params.per_layer("feed_forward_length", about.layers.len(), None)?;
    for (i, (layer, &local)) in about.layers.iter_mut().zip(&local).enumerate() {
        (layer.norms, layer.scaled) = (Norms::AROUND, true);
        let attention = &mut layer.attention;
        (attention.scale, attention.unit_values) = (1.0, true);
        attention.rope = Some(usize::from(local));
        attention.values_are_keys = !weights.has(&format!("blk.{i}.attn_v.weight"));
        if local {
            (attention.kv.k_dim, attention.kv.v_dim) = (k_local, v_local);
        }
        let activation = Activation::GeluTanh;
        if let FfnShape::Experts(mut experts) = layer.ffn {
            (experts.activation, experts.choice.normalized) = (activation, true);
            let dense = Dense::new(widths[i], activation, true);
            layer.ffn = FfnShape::Beside(dense, experts);
        }
    }
    let shared = params.or("attention.shared_kv_layers", 0u32)? as usize;
    share(params, &mut about.layers, &local, shared)?;
    Decoder::load(weights, about)
}

/// The last layers read the keys and values of the last one before them that is of their kind.
pub fn share(
    params: &Params,
    layers: &mut [LayerShape],
    local: &[bool],
    shared: usize,
) -> Result<()> {
    let first = layers.len().saturating_sub(shared);
    for i in first..layers.len() {
        let Some(source) = (0..first).rfind(|&j| local[j] == local[i]) else {
            let wanted = "fewer than there are layers of each kind";
            return Err(params.wrong("attention.shared_kv_layers", shared, wanted));
        };
        layers[i].attention.kv_from = Some(source);
        layers[i].attention.kv = layers[source].attention.kv;
        layers[i].attention.values_are_keys = false;
    }
    Ok(())
}
