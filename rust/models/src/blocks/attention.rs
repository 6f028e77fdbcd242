//! Grouped-query attention with rotary positions.

use farthing_kernels::Activations;
use farthing_kernels::attention::{Attention as Kernel, Mask, attention};
use farthing_kernels::kv::{KvLayer, KvShape, Span};
use farthing_kernels::rope::{Pairs, Rotations};
use farthing_kernels::vector::rms_norm;

use super::{Work, sized};
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// The sizes of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// KV heads and their dimensions.
    pub kv: KvShape,
    /// The factor of `q · k`.
    pub scale: f32,
    /// How many positions are visible, if not all.
    pub window: Option<usize>,
}

/// The weights of an attention layer.
pub struct Attention {
    shape: AttentionShape,
    q: Linear,
    k: Linear,
    v: Linear,
    output: Linear,
    /// Weights and epsilon of the norms of each head's query and key, where the file has them.
    head_norms: Option<(Vec<f32>, Vec<f32>, f32)>,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    normed: Vec<f32>,
    mixed: Activations,
}

impl Attention {
    /// `<prefix>.attn_q` and so on, of a model of width `d`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        shape: AttentionShape,
        eps: f32,
    ) -> Result<Attention> {
        let KvShape { heads, k_dim, v_dim } = shape.kv;
        let name = |part: &str| format!("{prefix}.attn_{part}");
        let q_norm = weights.opt_vector(&name("q_norm.weight"), k_dim)?;
        let k_norm = weights.opt_vector(&name("k_norm.weight"), k_dim)?;
        Ok(Attention {
            shape,
            q: weights.linear(&name("q"), shape.heads * k_dim, d)?,
            k: weights.linear(&name("k"), heads * k_dim, d)?,
            v: weights.linear(&name("v"), heads * v_dim, d)?,
            output: weights.linear(&name("output"), d, shape.heads * v_dim)?,
            head_norms: q_norm.zip(k_norm).map(|(q, k)| (q, k, eps)),
        })
    }

    /// Stores the rows' keys and values and writes the layer's output for the rows of `wanted`,
    /// which are spans of the same batch with rows counted in `out`, and `kept` the batch's rows
    /// that they are, if not all.
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &self,
        work: Work,
        scratch: &mut Scratch,
        rotations: &Rotations,
        pairs: Pairs,
        cache: &mut KvLayer,
        spans: &[Span],
        wanted: (&[Span], Option<&[usize]>),
    ) {
        let Work { team, x, out } = work;
        let AttentionShape { heads, kv, scale, window } = self.shape;
        let n = x.n();
        let Scratch { q, k, v, normed, mixed } = scratch;
        let q = sized(q, n * heads * kv.k_dim);
        let k = sized(k, n * kv.heads * kv.k_dim);
        let v = sized(v, n * kv.heads * kv.v_dim);
        let mut jobs: [(&Linear, &mut [f32]); 3] =
            [(&self.q, &mut *q), (&self.k, &mut *k), (&self.v, &mut *v)];
        linear(team, x, &mut jobs);
        if let Some((q_norm, k_norm, eps)) = &self.head_norms {
            for (x, weight) in [(&mut *q, q_norm), (&mut *k, k_norm)] {
                let normed = sized(normed, x.len());
                rms_norm(team, x, weight, *eps, normed);
                x.copy_from_slice(normed);
            }
        }
        rotations.apply(team, pairs, kv.k_dim, q);
        rotations.apply(team, pairs, kv.k_dim, k);
        cache.write(team, spans, k, v);
        let (wanted, kept) = wanted;
        let width = heads * kv.k_dim;
        if let Some(kept) = kept {
            for (to, &from) in kept.iter().enumerate() {
                q.copy_within(from * width..(from + 1) * width, to * width);
            }
        }
        let n = kept.map_or(n, <[usize]>::len);
        let mask = window.map_or(Mask::Causal, Mask::Window);
        let what = Kernel { mask, ..Kernel::new(heads, scale) };
        attention(team, cache, what, wanted, &q[..n * width], mixed.reset(n, heads * kv.v_dim));
        linear(team, mixed, &mut [(&self.output, sized(out, n * self.output.rows()))]);
    }
}
