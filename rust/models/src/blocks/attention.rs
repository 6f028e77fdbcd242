//! Grouped-query attention.

use std::sync::Arc;

use farthing_kernels::attention::{Attention as Kernel, Distances, Mask, attention};
use farthing_kernels::kv::{KvLayer, KvShape};
use farthing_kernels::norm::{Norm, NormKind};
use farthing_kernels::profile::Part;
use farthing_kernels::vector::{clamp, mul_sigmoid};
use farthing_kernels::{Activations, Team};

use super::{Batch, LatentShape, Work, sized};
use crate::description::NormShape;
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// The sizes of an attention layer and what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// KV heads and their dimensions.
    pub kv: KvShape,
    /// The factor of `q · k`.
    pub scale: f32,
    /// Which positions are visible.
    pub mask: Mask,
    /// A bound of the scores: `cap * tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// The largest slope exponent of ALiBi, if scores lessen with distance.
    pub alibi: Option<f32>,
    /// What is added to scores by the distance between query and key.
    pub distances: Option<Arc<Distances>>,
    /// Which of the model's rotary positions, if any.
    pub rope: Option<usize>,
    /// Whether the heads of queries and keys have a root mean square of 1, by norms without weights.
    pub unit_norms: bool,
    /// Whether `attn_q` has after each head's queries a gate, whose sigmoid multiplies the head's output.
    pub gated: bool,
    /// Whether norms of queries and keys come after the rotation.
    pub norm_after_rope: bool,
    /// A bound of what the input becomes: queries, keys and values within `±clamp`.
    pub clamp: Option<f32>,
    /// A factor of queries by their position.
    pub temperature: Option<Temperature>,
    /// Whether the heads of values have a root mean square of 1, too.
    pub unit_values: bool,
    /// Whether values are what keys are before their norm and rotation.
    pub values_are_keys: bool,
    /// The layer whose keys and values it reads, if it has none of its own.
    pub kv_from: Option<usize>,
    /// If keys and values are made of latents.
    pub latent: Option<LatentShape>,
}

/// Queries grow with the logarithm of their position: `1 + scale * ln(1 + floor((p + offset) / length))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    /// The logarithm's factor.
    pub scale: f32,
    /// Positions of one factor.
    pub length: usize,
    /// Added to the position.
    pub offset: usize,
}

/// The weights of an attention layer.
pub struct Attention {
    shape: AttentionShape,
    q: Linear,
    k: Option<Linear>,
    v: Option<Linear>,
    output: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
    v_norm: Option<Norm>,
    slopes: Option<Vec<f32>>,
    sinks: Option<Vec<f32>>,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    q: Vec<f32>,
    gate: Vec<f32>,
    both: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Activations,
}

impl Attention {
    /// `<prefix>.attn_q` and so on, or `attn_qkv` with the rows of all three, of a model of width `d`.
    /// Norms of queries and keys are there or not, and so are sinks. T5's output is `attn_o`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        shape: &AttentionShape,
        norm: NormShape,
    ) -> Result<Attention> {
        let KvShape { heads, k_dim, v_dim } = shape.kv;
        let name = |part: &str| format!("{prefix}.attn_{part}");
        let gates = if shape.gated { shape.heads * v_dim } else { 0 };
        let rows = [shape.heads * k_dim + gates, heads * k_dim, heads * v_dim];
        let (q, k, v) = if weights.has(&name("qkv.weight")) {
            let all = weights.linear(&name("qkv"), rows.iter().sum(), d)?;
            let (k, v) = (rows[0], rows[0] + rows[1]);
            (all.part(0..k), Some(all.part(k..v)), Some(all.part(v..v + rows[2])))
        } else {
            let [q, k, v] = rows;
            let own = |own: bool, part: &str, rows: usize| {
                own.then(|| weights.linear(&name(part), rows, d)).transpose()
            };
            let stored = shape.kv_from.is_none();
            let q = weights.linear(&name("q"), q, d)?;
            (q, own(stored, "k", k)?, own(stored && !shape.values_are_keys, "v", v)?)
        };
        let output = match weights.has(&name("o.weight")) {
            true => name("o"),
            false => name("output"),
        };
        let unit = |d: usize| Norm::new(NormKind::Rms, norm.eps, d, vec![1.0; d], Vec::new());
        let head_norm = |part: &str, heads: usize| match shape.unit_norms {
            true => Ok(Some(unit(k_dim))),
            false => weights.head_norm(&name(part), heads, k_dim, norm),
        };
        Ok(Attention {
            shape: shape.clone(),
            q,
            k,
            v,
            output: weights.linear(&output, d, shape.heads * v_dim)?,
            q_norm: head_norm("q_norm", shape.heads)?,
            slopes: shape.alibi.map(|max| slopes(shape.heads, max)),
            sinks: weights.opt_vector(&name("sinks.weight"), shape.heads)?,
            k_norm: match shape.kv_from {
                Some(_) => None,
                None => head_norm("k_norm", heads)?,
            },
            v_norm: shape.unit_values.then(|| unit(v_dim)),
        })
    }

    /// Stores the rows' keys and values and writes the layer's output for the wanted rows.
    pub fn forward(&self, work: Work, scratch: &mut Scratch, batch: &Batch, cache: &mut KvLayer) {
        let Work { team, x, out } = work;
        let AttentionShape { heads, kv, scale, mask, softcap, .. } = self.shape;
        let n = x.n();
        let Scratch { q, gate, both, k, v, mixed } = scratch;
        let q = sized(q, n * heads * kv.k_dim);
        let k = sized(k, n * kv.heads * kv.k_dim);
        let v = sized(v, n * kv.heads * kv.v_dim);
        {
            let _part = team.part(Part::Qkv);
            let queries = match self.shape.gated {
                true => sized(both, n * self.q.rows()),
                false => &mut *q,
            };
            let mut jobs = vec![(&self.q, queries)];
            jobs.extend(self.k.as_ref().map(|matrix| (matrix, &mut *k)));
            jobs.extend(self.v.as_ref().map(|matrix| (matrix, &mut *v)));
            linear(team, x, &mut jobs);
        }
        let gate = sized(gate, if self.shape.gated { n * heads * kv.v_dim } else { 0 });
        if self.shape.gated {
            let heads = both.chunks_exact(kv.k_dim + kv.v_dim);
            let parts = q.chunks_exact_mut(kv.k_dim).zip(gate.chunks_exact_mut(kv.v_dim));
            for ((q, gate), both) in parts.zip(heads) {
                q.copy_from_slice(&both[..kv.k_dim]);
                gate.copy_from_slice(&both[kv.k_dim..]);
            }
        }
        if let Some(limit) = self.shape.clamp {
            for x in [&mut *q, k, v] {
                clamp(team, x, limit);
            }
        }
        self.turn(team, batch, self.q_norm.as_ref(), q);
        if self.shape.kv_from.is_none() {
            if self.shape.values_are_keys {
                v.copy_from_slice(k);
            }
            self.turn(team, batch, self.k_norm.as_ref(), k);
            if let Some(norm) = &self.v_norm {
                norm.apply_in_place(team, v);
            }
            cache.write(team, batch.spans, k, v);
        }
        let width = heads * kv.k_dim;
        if let Some(temperature) = self.shape.temperature {
            temperature.apply(batch.positions, q);
        }
        let q = batch.keep(q, width);
        let n = q.len() / width;
        let what = Kernel {
            heads,
            scale,
            mask,
            softcap,
            slopes: self.slopes.as_deref(),
            distances: self.shape.distances.as_deref(),
            sinks: self.sinks.as_deref(),
            // Int8 activations are off by some times as much already.
            rounded: self.q.int8(),
        };
        attention(team, cache, what, batch.wanted, q, mixed.reset(n, heads * kv.v_dim));
        if self.shape.gated {
            mul_sigmoid(team, mixed.floats_mut(), batch.keep(gate, heads * kv.v_dim));
        }
        let _part = team.part(Part::Output);
        linear(team, mixed, &mut [(&self.output, sized(out, n * self.output.rows()))]);
    }

    /// Rotates heads, normalized before or after.
    fn turn(&self, team: &Team, batch: &Batch, norm: Option<&Norm>, x: &mut [f32]) {
        let norm = norm.map(|norm| (norm, self.shape.norm_after_rope));
        if let Some((norm, false)) = norm {
            norm.apply_in_place(team, x);
        }
        if let Some(rope) = self.shape.rope {
            batch.rotations[rope].apply(team, self.shape.kv.k_dim, x);
        }
        if let Some((norm, true)) = norm {
            norm.apply_in_place(team, x);
        }
    }
}

impl Temperature {
    /// Multiplies each position's row of queries.
    fn apply(&self, positions: &[usize], q: &mut [f32]) {
        let width = q.len() / positions.len().max(1);
        for (q, position) in q.chunks_exact_mut(width).zip(positions) {
            let steps = (position + self.offset) / self.length;
            if steps > 0 {
                let factor = 1.0 + self.scale * (1.0 + steps as f32).ln();
                q.iter_mut().for_each(|q| *q *= factor);
            }
        }
    }
}

/// ALiBi's slopes (Press et al. 2021, arXiv:2108.12409): powers of `2^(-max / n)`, `n` being the power
/// of two not above the number of heads; further heads take the odd powers of its root.
fn slopes(heads: usize, max: f32) -> Vec<f32> {
    let n = 1 << heads.ilog2();
    let power = |i: usize, n: usize| 2f32.powf(-max * i as f32 / n as f32);
    let first = (1..=n).map(|i| power(i, n));
    first.chain((0..heads - n).map(|i| power(2 * i + 1, 2 * n))).collect()
}
