//! A layer of the decoder: attention or a recurrent block and a feed-forward layer, each between norms,
//! added to the stream.

use std::f32::consts::FRAC_1_SQRT_2;

use farthing_kernels::Team;
use farthing_kernels::norm::Norm;
use farthing_kernels::vector::{add, add_times, scale};

use crate::blocks::{
    AltUp, Attention, Batch, Beside, ChannelMix, Ffn, Latent, Laurel, Moe, PerLayer, Recurrent,
    Work,
};
use crate::cache::{Cache, StateShape};
use crate::decoder::Memory;
use crate::description::{Description, FfnShape, LayerShape, Mixing};
use crate::error::Result;
use crate::weights::Weights;

/// A layer's weights.
pub struct Layer {
    altup: Option<AltUp>,
    attention_norm: Option<Norm>,
    attention: Option<SelfAttention>,
    recurrent: Option<Box<dyn Recurrent>>,
    after_attention: Option<Norm>,
    with_attention: Option<Norm>,
    again: Option<Norm>,
    laurel: Option<Laurel>,
    parallel: bool,
    ffn_norm: Option<Norm>,
    ffn: Option<FeedForward>,
    after_ffn: Option<Norm>,
    with_ffn: Option<Norm>,
    per_layer: Option<PerLayer>,
    scale: Option<f32>,
    residual_scale: f32,
    /// Which of the cache's layers is this one's.
    cache: usize,
    /// Which of the cache's states are this one's.
    states: usize,
}

enum SelfAttention {
    Usual(Box<Attention>),
    Latent(Box<Latent>),
}

enum FeedForward {
    Dense(Box<Ffn>),
    Experts(Box<Moe>),
    Beside(Box<Beside>),
    ChannelMix(Box<ChannelMix>),
}

impl Layer {
    /// `blk.<i>.*`, or what the description has in the place of `blk`.
    pub fn load(weights: &Weights, about: &Description, i: usize) -> Result<Layer> {
        let LayerShape { norms, scaled, halved, parallel, mixing, attention, ffn } =
            &about.layers[i];
        let d = about.d;
        let prefix = format!("{}.{i}", about.blocks);
        let norm = |name: Option<&str>| {
            name.map(|name| weights.norm(&format!("{prefix}.{name}"), d, about.norm)).transpose()
        };
        let altup = about.embedding.altup;
        let altup = altup.map(|shape| AltUp::load(weights, &prefix, d, shape, about.norm));
        let per_layer = about
            .embedding
            .per_layer
            .map(|width| PerLayer::load(weights, (i, about.layers.len()), (d, width), about.norm));
        let scale =
            scaled.then(|| weights.vector(&format!("{prefix}.layer_output_scale.weight"), 1));
        let attend = || -> Result<_> {
            Ok(match attention.latent {
                Some(latent) => SelfAttention::Latent(Box::new(Latent::load(
                    weights,
                    &prefix,
                    d,
                    (attention, latent),
                    about.norm,
                )?)),
                None => SelfAttention::Usual(Box::new(Attention::load(
                    weights, &prefix, d, attention, about.norm,
                )?)),
            })
        };
        let recur = |shape| <dyn Recurrent>::load(weights, &prefix, d, shape, about.norm);
        let (attention, recurrent) = match *mixing {
            Mixing::Attention => (Some(attend()?), None),
            Mixing::Recurrent(shape) => (None, Some(recur(shape)?)),
            Mixing::Both(shape) => (Some(attend()?), Some(recur(shape)?)),
            Mixing::Nothing => (None, None),
        };
        let has_first = attention.is_some() || recurrent.is_some();
        let has_second = !matches!(ffn, FfnShape::Nothing);
        Ok(Layer {
            altup: altup.transpose()?,
            attention_norm: norm(norms.attention.filter(|_| has_first))?,
            attention,
            recurrent,
            after_attention: norm(norms.after_attention.filter(|_| has_first))?,
            with_attention: norm(norms.with_attention.filter(|_| has_first))?,
            again: norm(norms.again.filter(|_| has_first))?,
            laurel: Laurel::load(weights, &prefix, d, about.norm)?,
            parallel: *parallel,
            ffn_norm: norm(norms.ffn.filter(|_| has_second))?,
            ffn: match ffn {
                FfnShape::Dense(ffn) => {
                    Some(FeedForward::Dense(Box::new(Ffn::load(weights, &prefix, d, *ffn)?)))
                }
                FfnShape::Beside(dense, experts) => {
                    let shapes = (*dense, *experts);
                    let both = Beside::load(weights, &prefix, d, shapes, about.norm)?;
                    Some(FeedForward::Beside(Box::new(both)))
                }
                FfnShape::Experts(experts) => {
                    Some(FeedForward::Experts(Box::new(Moe::load(weights, &prefix, d, *experts)?)))
                }
                FfnShape::ChannelMix(width) => {
                    let block = ChannelMix::load(weights, &prefix, d, *width)?;
                    Some(FeedForward::ChannelMix(Box::new(block)))
                }
                FfnShape::Nothing => None,
            },
            after_ffn: norm(norms.after_ffn.filter(|_| has_second))?,
            with_ffn: norm(norms.with_ffn.filter(|_| has_second))?,
            per_layer: per_layer.transpose()?,
            scale: scale.transpose()?.map(|scale| scale[0]).or(halved.then_some(0.5)),
            residual_scale: about.residual_scale,
            cache: about.cache_of(i),
            states: about.states_of(i),
        })
    }

    /// What its blocks keep of a sequence.
    pub fn states(&self) -> impl Iterator<Item = StateShape> {
        let second = match &self.ffn {
            Some(FeedForward::ChannelMix(block)) => Some(block.state()),
            _ => None,
        };
        self.recurrent.iter().map(|block| block.state()).chain(second)
    }

    /// Whether its second block needs all rows, as what it keeps of a sequence is made of them.
    pub fn needs_all_rows(&self) -> bool {
        matches!(self.ffn, Some(FeedForward::ChannelMix(_)))
    }

    /// Takes the stream through the layer; afterwards it has the batch's kept rows only.
    pub fn forward(&self, team: &Team, batch: &Batch, cache: &mut Cache, m: &mut Memory) {
        let Memory { stream, streams, x, out, blocks, d, .. } = m;
        let d = *d;
        if let Some(altup) = &self.altup {
            altup.predict(team, &mut blocks.altup, streams, stream);
        }
        let has_first = self.attention.is_some() || self.recurrent.is_some();
        if has_first {
            read(team, self.attention_norm.as_ref(), stream, x.reset(stream.len() / d, d));
        }
        if let Some(block) = &self.attention {
            let (work, layer) = (Work { team, x, out }, &mut cache.layers[self.cache]);
            match block {
                SelfAttention::Usual(block) => {
                    block.forward(work, &mut blocks.attention, batch, layer);
                }
                SelfAttention::Latent(block) => {
                    block.forward(work, &mut blocks.latent, batch, layer);
                }
            }
        }
        if let Some(block) = &self.recurrent {
            let both = self.attention.is_some();
            let to = if both { &mut blocks.beside_attention } else { &mut *out };
            let (work, states) = (Work { team, x, out: to }, &mut cache.states[self.states]);
            block.forward(work, &mut blocks.recurrent, batch, states);
            if both {
                let n = batch.kept.map_or(stream.len(), |kept| kept.len() * d);
                add(team, &mut out[..n], &blocks.beside_attention[..n]);
            }
        }
        if let Some(kept) = batch.kept {
            m.keep(kept);
        }
        let Memory { stream, streams, x, out, blocks, per_layer, .. } = m;
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
        if has_first {
            let norms = [self.after_attention.as_ref(), self.with_attention.as_ref()];
            self.join(team, norms, stream, &mut out[..n * d]);
        }
        if let Some(norm) = &self.again {
            if let Some(kept) = batch.kept {
                x.keep(kept);
            }
            add(team, stream, x.floats());
            norm.apply_in_place(team, stream);
        }
        if let Some(laurel) = &self.laurel {
            if let Some(kept) = batch.kept {
                x.keep(kept);
            }
            laurel.forward(Work { team, x, out }, &mut blocks.laurel);
            add(team, stream, &out[..n * d]);
            scale(team, stream, FRAC_1_SQRT_2);
        }
        if let Some(block) = &self.ffn {
            if !self.parallel {
                read(team, self.ffn_norm.as_ref(), stream, x.reset(n, d));
            }
            let work = Work { team, x, out };
            match block {
                FeedForward::ChannelMix(block) => {
                    let states = self.states + usize::from(self.recurrent.is_some());
                    let states = &mut cache.states[states];
                    block.forward(work, &mut blocks.channel_mix, batch, states);
                }
                FeedForward::Dense(ffn) => ffn.forward(work, &mut blocks.ffn),
                FeedForward::Experts(moe) => moe.forward(work, &mut blocks.moe, None),
                FeedForward::Beside(both) => both.forward(work, blocks, stream),
            }
            let norms = [self.after_ffn.as_ref(), self.with_ffn.as_ref()];
            self.join(team, norms, stream, &mut out[..n * d]);
        }
        if let Some(altup) = &self.altup {
            altup.correct(team, &mut blocks.altup, streams, stream);
        }
        if let Some(block) = &self.per_layer {
            x.reset(n, d).copy_from_slice(stream);
            let work = Work { team, x, out };
            block.forward(work, &mut blocks.per_layer, per_layer);
            match &self.altup {
                Some(altup) => altup.add(team, &out[..n * d], streams),
                None => add(team, stream, &out[..n * d]),
            }
        }
        if let Some(factor) = self.scale {
            scale(team, stream, factor);
        }
    }

    /// Adds a block's output to the stream; norms are that of the output and that of the stream then.
    fn join(&self, team: &Team, norms: [Option<&Norm>; 2], stream: &mut [f32], out: &mut [f32]) {
        let [before, after] = norms;
        if let Some(norm) = before {
            norm.apply_in_place(team, out);
        }
        if self.residual_scale == 1.0 {
            add(team, stream, out);
        } else {
            add_times(team, stream, out, self.residual_scale);
        }
        if let Some(norm) = after {
            norm.apply_in_place(team, stream);
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
