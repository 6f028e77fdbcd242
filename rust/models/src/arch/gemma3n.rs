//! Gemma 3n: several streams of which a layer computes one, a learned residual beside attention, per-layer
//! embeddings, gates that are 0 but for the largest, keys and values shared by the last layers.

use farthing_kernels::rope::Pairs;

use super::{gemma, gemma4};
use crate::blocks::AltUpShape;
use crate::decoder::Decoder;
use crate::description::{FfnShape, Norms};
use crate::error::Result;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

/// Layers that store keys and values, where the file does not say how many do not.
const STORING: usize = 20;
/// Layers whose gates are cut, where the file does not say which.
const CUT: usize = 10;
/// Where the file does not say so, they are cut below all but 5 % of a normal distribution.
const DEVIATIONS: f32 = 1.644_853_6;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = gemma::describe(params, weights)?;
    let n = about.layers.len();
    let local = about.windows(params, |i| i % 5 < 4)?;
    let k_dim = about.layers[0].attention.kv.k_dim;
    about.ropes.push(Rope::local(params, Pairs::Halves, k_dim, 10_000.0)?);
    about.output.softcap = Some(params.or("final_logit_softcapping", 30.0)?);
    about.embedding.per_layer = Some(params.size_or("embedding_length_per_layer_input", 256)?);
    about.embedding.altup = Some(altup(params)?);
    let cuts = match params.opt::<Vec<f32>>("activation_sparsity_scale")? {
        Some(cuts) if cuts.len() == n => cuts,
        Some(cuts) => {
            let (key, found) = ("activation_sparsity_scale", format!("{} floats", cuts.len()));
            return Err(params.wrong(key, found, format!("{n} of them")));
        }
        None => (0..n).map(|i| if i < CUT { DEVIATIONS } else { f32::NEG_INFINITY }).collect(),
    };
    for (i, (layer, &local)) in about.layers.iter_mut().zip(&local).enumerate() {
        layer.norms = Norms::AROUND;
        let attention = &mut layer.attention;
        (attention.scale, attention.unit_values) = (1.0, true);
        attention.rope = Some(usize::from(local));
        if let FfnShape::Dense(dense) = &mut layer.ffn {
            dense.cut = Some(cuts[i]).filter(|cut| cut.is_finite());
        }
    }
    let shared = params.or("attention.shared_kv_layers", n.saturating_sub(STORING) as u32)?;
    gemma4::share(params, &mut about.layers, &local, shared as usize)?;
    Decoder::load(weights, about)
}

fn altup(params: &Params) -> Result<AltUpShape> {
    let n = params.size_or("altup.num_inputs", 4)?;
    let active = params.or("altup.active_idx", 0u32)? as usize;
    if active >= n {
        return Err(params.wrong("altup.active_idx", active, format!("less than {n}")));
    }
    Ok(AltUpShape { n, active })
}
