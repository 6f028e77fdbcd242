//! The encoder of T5 (Raffel et al. 2020, arXiv:1910.10683): positions are known by what their distance adds to
//! a score.

use std::sync::Arc;

use farthing_kernels::activation::Activation;
use farthing_kernels::attention::Distances;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

/// Distances of so many and more are in the last bucket.
const FAR: usize = 128;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::without_positions(params)?;
    about.look_ahead();
    about.blocks = "enc.blk";
    (about.output.norm, about.output.logits) = (Some("enc.output_norm"), false);
    let gated = weights.has("enc.blk.0.ffn_gate.weight");
    let activation = if gated { Activation::GeluTanh } else { Activation::Relu };
    about.dense(|ffn| (ffn.activation, ffn.gated) = (activation, gated));
    let buckets = params.size("attention.relative_buckets_count")?;
    if !buckets.is_multiple_of(4) || buckets >= 4 * FAR {
        let wanted = format!("a multiple of 4 below {}", 4 * FAR);
        return Err(params.wrong("attention.relative_buckets_count", buckets, wanted));
    }
    let mut first = None;
    for (i, layer) in about.layers.iter_mut().enumerate() {
        let name = format!("enc.blk.{i}.attn_rel_b.weight");
        let heads = layer.attention.heads;
        let load = || -> Result<_> {
            let numbers = weights.matrix(&name, buckets, heads)?;
            let number = |head, distance| numbers[bucket(distance, buckets) * heads + head];
            Ok(Arc::new(Distances::new(heads, FAR, number)))
        };
        // The first layer's serve those that have none.
        let own = (i == 0 || weights.has(&name)).then(load).transpose()?;
        first = first.or_else(|| own.clone());
        layer.attention.distances = own.or_else(|| first.clone());
        layer.attention.scale = 1.0;
    }
    Decoder::load(weights, about)
}

/// Which of the buckets a distance from query to key is in: half of them are for keys ahead, and in either
/// half the nearer half of distances have a bucket each, the others share them by their logarithm.
fn bucket(distance: isize, buckets: usize) -> usize {
    let half = buckets / 2;
    let side = if distance > 0 { half } else { 0 };
    let (near, far) = (half / 2, distance.unsigned_abs());
    if far < near {
        return side + far;
    }
    let share = (far as f32 / near as f32).ln() / (FAR as f32 / near as f32).ln();
    side + (near + (share * (half - near) as f32) as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_distances_have_buckets_of_their_own() {
        let buckets = |distances: &[isize]| -> Vec<usize> {
            distances.iter().map(|&d| bucket(d, 32)).collect()
        };
        assert_eq!(buckets(&[0, -1, -7, 1, 7]), [0, 1, 7, 17, 23]);
        assert_eq!(buckets(&[-8, -11, -12, -127, -128, -500]), [8, 8, 9, 15, 15, 15]);
        assert_eq!(buckets(&[8, 12, 128]), [24, 25, 31]);
    }
}
