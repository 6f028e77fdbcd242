//! Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): keys and values of all heads are made of
//! one short vector, the latent, and queries perhaps of another; a part of each key, the same for all
//! heads, has rotary positions.
//!
//! With `attn_k_b` and `attn_v_b` in the file the latent is what the cache holds, as one KV head: what
//! makes a head's keys of it is applied to the query instead, what makes the values to the output.
//! With `attn_kv_b`, the cache holds every head's keys and values.

use farthing_kernels::attention::{Attention as Kernel, attention};
use farthing_kernels::kv::{KvLayer, KvShape};
use farthing_kernels::matmul::groups::{Forms, Groups};
use farthing_kernels::norm::Norm;
use farthing_kernels::{Activations, Team};

use super::{AttentionShape, Batch, Work, sized};
use crate::description::NormShape;
use crate::error::Result;
use crate::lora::experts::Columns;
use crate::weights::{Linear, Weights, forms, linear, linear_groups};

/// The sizes that latent attention has besides those of attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatentShape {
    /// Of the queries' latent, if they have one.
    pub q_rank: Option<usize>,
    /// Of the keys' and values' latent.
    pub kv_rank: usize,
    /// Values of a head's key without rotary positions.
    pub plain: usize,
    /// Values with them.
    pub rotated: usize,
    /// Values of a head's value.
    pub v_dim: usize,
}

/// The weights of a layer.
pub struct Latent {
    shape: AttentionShape,
    latent: LatentShape,
    /// To the queries' latent, with its norm.
    q_a: Option<(Linear, Norm)>,
    q: Linear,
    /// To the latent and the rotated part of the keys.
    kv_a: Linear,
    kv_norm: Norm,
    heads: Heads,
    output: Linear,
}

/// What makes keys and values of the latent.
enum Heads {
    Whole(Linear),
    Absorbed { k: ByHead, v: ByHead },
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    low: Activations,
    q: Vec<f32>,
    q_rotated: Vec<f32>,
    kv: Vec<f32>,
    latent: Activations,
    k_rotated: Vec<f32>,
    by_head: HeadScratch,
    made: Vec<f32>,
    queries: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Activations,
    latents: Vec<f32>,
}

impl Latent {
    /// `<prefix>.attn_kv_a_mqa` and so on, of a model of width `d`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        (shape, latent): (&AttentionShape, LatentShape),
        norm: NormShape,
    ) -> Result<Latent> {
        let name = |part: &str| format!("{prefix}.attn_{part}");
        let LatentShape { q_rank, kv_rank, plain, rotated, v_dim } = latent;
        let heads = shape.heads;
        let rows = heads * (plain + rotated);
        let q_a = |rank: usize| -> Result<_> {
            Ok((
                weights.linear(&name("q_a"), rank, d)?,
                weights.norm(&name("q_a_norm"), rank, norm)?,
            ))
        };
        let q = match q_rank {
            Some(rank) => weights.linear(&name("q_b"), rows, rank)?,
            None => weights.linear(&name("q"), rows, d)?,
        };
        let parts = if weights.has(&name("kv_b.weight")) {
            Heads::Whole(weights.linear(&name("kv_b"), heads * (plain + v_dim), kv_rank)?)
        } else {
            let k = ByHead::load(weights, &name("k_b"), heads, kv_rank, plain)?;
            Heads::Absorbed { k, v: ByHead::load(weights, &name("v_b"), heads, v_dim, kv_rank)? }
        };
        Ok(Latent {
            shape: shape.clone(),
            latent,
            q_a: q_rank.map(q_a).transpose()?,
            q,
            kv_a: weights.linear(&name("kv_a_mqa"), kv_rank + rotated, d)?,
            kv_norm: weights.norm(&name("kv_a_norm"), kv_rank, norm)?,
            heads: parts,
            output: weights.linear(&name("output"), d, heads * v_dim)?,
        })
    }

    /// As [`super::Attention::forward`].
    pub fn forward(&self, work: Work, s: &mut Scratch, batch: &Batch, cache: &mut KvLayer) {
        let Work { team, x, out } = work;
        let n = x.n();
        let LatentShape { kv_rank, plain, rotated, v_dim, .. } = self.latent;
        let (heads, width) = (self.shape.heads, plain + rotated);
        let q = sized(&mut s.q, n * heads * width);
        let kv = sized(&mut s.kv, n * self.kv_a.rows());
        if let Some((q_a, norm)) = &self.q_a {
            let low = s.low.reset(n, q_a.rows());
            linear(team, x, &mut [(q_a, &mut *low), (&self.kv_a, &mut *kv)]);
            norm.apply_in_place(team, low);
            linear(team, &mut s.low, &mut [(&self.q, &mut *q)]);
        } else {
            linear(team, x, &mut [(&self.q, &mut *q), (&self.kv_a, &mut *kv)]);
        }
        let k_rotated = sized(&mut s.k_rotated, n * rotated);
        let latent = s.latent.reset(n, kv_rank);
        for (i, kv) in kv.chunks_exact(kv_rank + rotated).enumerate() {
            latent[i * kv_rank..][..kv_rank].copy_from_slice(&kv[..kv_rank]);
            k_rotated[i * rotated..][..rotated].copy_from_slice(&kv[kv_rank..]);
        }
        self.kv_norm.apply_in_place(team, latent);
        let q_rotated = sized(&mut s.q_rotated, n * heads * rotated);
        for (to, q) in q_rotated.chunks_exact_mut(rotated).zip(q.chunks_exact(width)) {
            to.copy_from_slice(&q[plain..]);
        }
        if let Some(rope) = self.shape.rope {
            batch.rotations[rope].apply(team, rotated, q_rotated);
            batch.rotations[rope].apply(team, rotated, k_rotated);
        }
        self.keys_and_values(team, s, n);
        cache.write(team, batch.spans, &s.k, &s.v);
        let KvShape { k_dim, v_dim: v_len, .. } = self.shape.kv;
        if let Some(kept) = batch.kept {
            let width = heads * k_dim;
            for (to, &from) in kept.iter().enumerate() {
                s.queries.copy_within(from * width..(from + 1) * width, to * width);
            }
        }
        let rows = batch.kept.map_or(n, <[usize]>::len);
        if rows == 0 {
            return;
        }
        let what = Kernel { mask: self.shape.mask, ..Kernel::new(heads, self.shape.scale) };
        let queries = &s.queries[..rows * heads * k_dim];
        match &self.heads {
            Heads::Whole(_) => {
                let mixed = s.mixed.reset(rows, heads * v_dim);
                attention(team, cache, what, batch.wanted, queries, mixed);
            }
            Heads::Absorbed { v, .. } => {
                let latents = sized(&mut s.latents, rows * heads * v_len);
                attention(team, cache, what, batch.wanted, queries, latents);
                v.apply(team, &mut s.by_head, latents, v_len, &mut s.made);
                let mixed = s.mixed.reset(rows, heads * v_dim);
                for (i, to) in mixed.chunks_exact_mut(v_dim).enumerate() {
                    let (row, head) = (i / heads, i % heads);
                    to.copy_from_slice(&s.made[(head * rows + row) * v_dim..][..v_dim]);
                }
            }
        }
        linear(team, &mut s.mixed, &mut [(&self.output, sized(out, rows * self.output.rows()))]);
    }

    /// Queries, keys and values as attention wants them.
    fn keys_and_values(&self, team: &Team, s: &mut Scratch, n: usize) {
        let LatentShape { kv_rank, plain, rotated, v_dim, .. } = self.latent;
        let (heads, width) = (self.shape.heads, plain + rotated);
        let KvShape { heads: kv_heads, k_dim, v_dim: v_len } = self.shape.kv;
        let q = &s.q[..n * heads * width];
        let queries = sized(&mut s.queries, n * heads * k_dim);
        let k = sized(&mut s.k, n * kv_heads * k_dim);
        let v = sized(&mut s.v, n * kv_heads * v_len);
        match &self.heads {
            Heads::Whole(matrix) => {
                let made = sized(&mut s.made, n * matrix.rows());
                linear(team, &mut s.latent, &mut [(matrix, &mut *made)]);
                for (i, made) in made.chunks_exact(plain + v_dim).enumerate() {
                    queries[i * k_dim..][..plain].copy_from_slice(&q[i * width..][..plain]);
                    k[i * k_dim..][..plain].copy_from_slice(&made[..plain]);
                    v[i * v_dim..][..v_dim].copy_from_slice(&made[plain..]);
                }
            }
            Heads::Absorbed { k: of_keys, .. } => {
                of_keys.apply(team, &mut s.by_head, q, width, &mut s.made);
                for (i, to) in queries.chunks_exact_mut(k_dim).enumerate() {
                    let (row, head) = (i / heads, i % heads);
                    to[..kv_rank].copy_from_slice(&s.made[(head * n + row) * kv_rank..][..kv_rank]);
                }
                let latent = s.latent.floats();
                for (k, latent) in k.chunks_exact_mut(k_dim).zip(latent.chunks_exact(kv_rank)) {
                    k[..kv_rank].copy_from_slice(latent);
                }
                v.copy_from_slice(latent);
            }
        }
        let first = k_dim - rotated;
        for (q, from) in queries.chunks_exact_mut(k_dim).zip(s.q_rotated.chunks_exact(rotated)) {
            q[first..].copy_from_slice(from);
        }
        for (i, k) in k.chunks_exact_mut(k_dim).enumerate() {
            k[first..].copy_from_slice(&s.k_rotated[i / kv_heads * rotated..][..rotated]);
        }
    }
}

/// A matrix for each head.
struct ByHead {
    matrices: Vec<Linear>,
    forms: Forms,
    /// Inputs.
    k: usize,
}

/// Memory for it.
#[derive(Default)]
struct HeadScratch {
    gathered: Vec<f32>,
    columns: Groups,
}

impl ByHead {
    fn load(weights: &Weights, name: &str, heads: usize, rows: usize, k: usize) -> Result<ByHead> {
        let matrices = weights.stack(name, heads, rows, k)?;
        Ok(ByHead { forms: forms(&matrices), matrices, k })
    }

    /// From the first values of each `stride` in `x`, `[n][heads][stride]`, to `out`,
    /// `[heads][n][rows]`.
    fn apply(
        &self,
        team: &Team,
        scratch: &mut HeadScratch,
        x: &[f32],
        stride: usize,
        out: &mut Vec<f32>,
    ) {
        let heads = self.matrices.len();
        let (k, n) = (self.k, x.len() / (heads * stride));
        let HeadScratch { gathered, columns } = scratch;
        let gathered = sized(gathered, heads * n * k);
        for (i, x) in x.chunks_exact(stride).enumerate() {
            gathered[(i % heads * n + i / heads) * k..][..k].copy_from_slice(&x[..k]);
        }
        let starts: Vec<usize> = (0..=heads).map(|head| head * n).collect();
        columns.split(team, self.forms, gathered, k, &starts);
        let rows = self.matrices[0].rows();
        let out = sized(out, heads * n * rows).chunks_exact_mut(n * rows);
        let jobs = self.matrices.iter().zip(out).enumerate();
        let jobs = jobs.map(|(head, (w, out))| (head, w, out)).collect();
        let tokens: Vec<u32> = (0..heads).flat_map(|_| 0..n as u32).collect();
        let inputs = Columns { x: gathered, apart: true, tokens: &tokens, starts: &starts, n };
        linear_groups(team, columns, inputs, jobs);
    }
}
