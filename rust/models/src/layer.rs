//! A layer of the decoder: attention and a feed-forward layer, each between norms, added to the stream.

use farthing_kernels::Team;
use farthing_kernels::norm::Norm;
use farthing_kernels::vector::{add, add_times};

use crate::blocks::{Attention, Batch, Ffn, Moe, Work};
use crate::cache::Cache;
use crate::decoder::Memory;
use crate::description::{Description, FfnShape, LayerShape};
use crate::error::Result;
use crate::weights::Weights;

/// A layer's weights.
pub struct Layer {
    attention_norm: Option<Norm>,
    attention: Attention,
    after_attention: Option<Norm>,
    parallel: bool,
    ffn_norm: Option<Norm>,
    ffn: FeedForward,
    after_ffn: Option<Norm>,
    residual_scale: f32,
}

enum FeedForward {
    Dense(Ffn),
    Experts(Moe),
}

impl Layer {
    /// `blk.<i>.*`.
    pub fn load(weights: &Weights, about: &Description, i: usize) -> Result<Layer> {
        let LayerShape { norms, parallel, attention, ffn } = &about.layers[i];
        let d = about.d;
        let prefix = format!("blk.{i}");
        let norm = |name: Option<&str>| {
            name.map(|name| weights.norm(&format!("{prefix}.{name}"), d, about.norm)).transpose()
        };
        Ok(Layer {
            attention_norm: norm(norms.attention)?,
            attention: Attention::load(weights, &prefix, d, attention, about.norm)?,
            after_attention: norm(norms.after_attention)?,
            parallel: *parallel,
            ffn_norm: norm(norms.ffn)?,
            ffn: match ffn {
                FfnShape::Dense(ffn) => FeedForward::Dense(Ffn::load(weights, &prefix, d, *ffn)?),
                FfnShape::Experts(experts) => {
                    FeedForward::Experts(Moe::load(weights, &prefix, d, *experts)?)
                }
            },
            after_ffn: norm(norms.after_ffn)?,
            residual_scale: about.residual_scale,
        })
    }

    /// Takes the stream through the layer; afterwards it has the batch's kept rows only.
    pub fn forward(&self, team: &Team, batch: &Batch, cache: &mut Cache, i: usize, m: &mut Memory) {
        let Memory { stream, x, out, blocks, d, .. } = m;
        let d = *d;
        read(team, self.attention_norm.as_ref(), stream, x.reset(stream.len() / d, d));
        let work = Work { team, x, out };
        self.attention.forward(work, &mut blocks.attention, batch, &mut cache.layers[i]);
        if let Some(kept) = batch.kept {
            keep(stream, kept, d);
        }
        if stream.is_empty() || team.interrupted() {
            return;
        }
        let n = stream.len() / d;
        if self.parallel {
            match (&self.ffn_norm, batch.kept) {
                (Some(norm), _) => norm.apply(team, stream, x.reset(n, d)),
                (None, Some(kept)) => x.keep(kept),
                (None, None) => {}
            }
        }
        self.join(team, self.after_attention.as_ref(), stream, &mut out[..n * d]);
        if !self.parallel {
            read(team, self.ffn_norm.as_ref(), stream, x.reset(n, d));
        }
        let work = Work { team, x, out };
        match &self.ffn {
            FeedForward::Dense(ffn) => ffn.forward(work, &mut blocks.ffn),
            FeedForward::Experts(moe) => moe.forward(work, &mut blocks.moe),
        }
        self.join(team, self.after_ffn.as_ref(), stream, &mut out[..n * d]);
    }

    /// Adds a block's output to the stream.
    fn join(&self, team: &Team, norm: Option<&Norm>, stream: &mut [f32], out: &mut [f32]) {
        if let Some(norm) = norm {
            norm.apply_in_place(team, out);
        }
        if self.residual_scale == 1.0 {
            add(team, stream, out);
        } else {
            add_times(team, stream, out, self.residual_scale);
        }
    }
}

/// What a block reads of the stream.
fn read(team: &Team, norm: Option<&Norm>, stream: &[f32], x: &mut [f32]) {
    match norm {
        Some(norm) => norm.apply(team, stream, x),
        None => x.copy_from_slice(stream),
    }
}

/// Leaves some rows of `d`, in their order.
pub fn keep(x: &mut Vec<f32>, rows: &[usize], d: usize) {
    for (to, &from) in rows.iter().enumerate() {
        x.copy_within(from * d..(from + 1) * d, to * d);
    }
    x.truncate(rows.len() * d);
}
