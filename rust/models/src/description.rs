//! What an architecture says of itself: plain data that a [`crate::decoder::Decoder`] is loaded from.

use farthing_kernels::activation::Activation;
use farthing_kernels::attention::Mask;
use farthing_kernels::kv::KvShape;
use farthing_kernels::norm::NormKind;

use crate::blocks::{AltUpShape, AttentionShape, Experts, RecurrentShape};
use crate::error::Result;
use crate::head::HeadShape;
use crate::params::Params;
use crate::rope::Rope;

/// A decoder: an embedding, layers, a norm and an output matrix. An encoder is one too, whose positions
/// see later ones and which may have no output matrix.
pub struct Description {
    /// Width of the stream between layers.
    pub d: usize,
    /// What the names of the layers' tensors begin with.
    pub blocks: &'static str,
    /// How all of its norms are computed.
    pub norm: NormShape,
    /// How tokens enter.
    pub embedding: Embedding,
    /// The rotary positions that layers choose from, see [`AttentionShape::rope`].
    pub ropes: Vec<Rope>,
    /// Each layer.
    pub layers: Vec<LayerShape>,
    /// The factor of what a block adds to the stream.
    pub residual_scale: f32,
    /// How logits leave.
    pub output: Output,
    /// What is made of pooled vectors.
    pub head: HeadShape,
}

/// How a norm is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormShape {
    /// Root mean square, or mean and variance.
    pub kind: NormKind,
    /// What keeps the divisor from 0.
    pub eps: f32,
    /// Whether there are weights in the file. Biases are there or not.
    pub weighted: bool,
}

impl NormShape {
    /// Root mean square, with the file's epsilon.
    pub fn rms(params: &Params) -> Result<NormShape> {
        let eps = params.get("attention.layer_norm_rms_epsilon")?;
        Ok(NormShape { kind: NormKind::Rms, eps, weighted: true })
    }

    /// Mean and variance, with the file's epsilon.
    pub fn layer(params: &Params) -> Result<NormShape> {
        let eps = params.get("attention.layer_norm_epsilon")?;
        Ok(NormShape { kind: NormKind::Layer, eps, weighted: true })
    }
}

/// How tokens enter: rows of `token_embd`.
pub struct Embedding {
    /// Their factor.
    pub scale: f32,
    /// Whether the rows of `position_embd` are added.
    pub positions: bool,
    /// Whether the first row of `token_types`, the first text's, is added.
    pub types: bool,
    /// Whether `token_embd_norm` follows.
    pub norm: bool,
    /// How wide each layer's own embeddings are, if there are any.
    pub per_layer: Option<usize>,
    /// The streams, if there is more than one.
    pub altup: Option<AltUpShape>,
}

impl Default for Embedding {
    fn default() -> Self {
        Embedding {
            scale: 1.0,
            positions: false,
            types: false,
            norm: false,
            per_layer: None,
            altup: None,
        }
    }
}

/// How logits leave: a norm, then the matrix `output`, or `token_embd` where that is missing.
pub struct Output {
    /// The norm's tensor, if there is one.
    pub norm: Option<&'static str>,
    /// Whether there are logits at all.
    pub logits: bool,
    /// The logits' factor.
    pub scale: f32,
    /// Their bound: `cap * tanh(logit / cap)`.
    pub softcap: Option<f32>,
}

impl Default for Output {
    fn default() -> Self {
        Output { norm: Some("output_norm"), logits: true, scale: 1.0, softcap: None }
    }
}

/// One layer.
#[derive(Clone, Debug)]
pub struct LayerShape {
    /// Where norms stand.
    pub norms: Norms,
    /// Whether `layer_output_scale` multiplies the stream at the end.
    pub scaled: bool,
    /// Whether the stream is halved at the end.
    pub halved: bool,
    /// Whether both blocks read the stream as it was before the layer.
    pub parallel: bool,
    /// The first block.
    pub mixing: Mixing,
    /// Its attention, if it has that.
    pub attention: AttentionShape,
    /// The second block.
    pub ffn: FfnShape,
}

/// What the first block of a layer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mixing {
    /// Attention.
    Attention,
    /// A recurrent block.
    Recurrent(RecurrentShape),
    /// The sum of both.
    Both(RecurrentShape),
    /// There is none.
    Nothing,
}

impl LayerShape {
    /// Whether it stores keys and values of its own.
    pub fn stores(&self) -> bool {
        matches!(self.mixing, Mixing::Attention | Mixing::Both(_))
            && self.attention.kv_from.is_none()
    }

    /// Whether anything of a sequence is kept for its later positions.
    pub fn keeps(&self) -> bool {
        self.stores() || self.n_states() > 0
    }

    /// How many of its blocks have a state.
    pub fn n_states(&self) -> usize {
        let first = matches!(self.mixing, Mixing::Recurrent(_) | Mixing::Both(_));
        usize::from(first) + usize::from(matches!(self.ffn, FfnShape::ChannelMix(_)))
    }
}

/// Names of a layer's norms, without `blk.<i>.`; `None` where there is no norm.
#[derive(Clone, Copy, Debug)]
pub struct Norms {
    /// Of what attention reads.
    pub attention: Option<&'static str>,
    /// Of what attention adds.
    pub after_attention: Option<&'static str>,
    /// Of the stream with that.
    pub with_attention: Option<&'static str>,
    /// Of the stream with what attention read added once more.
    pub again: Option<&'static str>,
    /// Of what the feed-forward layer reads. In a parallel layer `None` means what attention reads.
    pub ffn: Option<&'static str>,
    /// Of what the feed-forward layer adds.
    pub after_ffn: Option<&'static str>,
    /// Of the stream with that.
    pub with_ffn: Option<&'static str>,
}

impl Norms {
    const NONE: Norms = Norms {
        attention: None,
        after_attention: None,
        with_attention: None,
        again: None,
        ffn: None,
        after_ffn: None,
        with_ffn: None,
    };
    /// Before both blocks.
    pub const BEFORE: Norms =
        Norms { attention: Some("attn_norm"), ffn: Some("ffn_norm"), ..Self::NONE };
    /// After both blocks.
    pub const AFTER: Norms = Norms {
        after_attention: Some("post_attention_norm"),
        after_ffn: Some("post_ffw_norm"),
        ..Self::NONE
    };
    /// Of the stream itself, after both blocks, as in the first transformers (Vaswani et al. 2017).
    pub const OF_THE_SUM: Norms = Norms {
        with_attention: Some("attn_output_norm"),
        with_ffn: Some("layer_output_norm"),
        ..Self::NONE
    };
    /// Before and after both blocks.
    pub const AROUND: Norms =
        Norms { attention: Self::BEFORE.attention, ffn: Self::BEFORE.ffn, ..Self::AFTER };
    /// One, whose result both blocks of a parallel layer read.
    pub const SHARED: Norms = Norms { ffn: None, ..Self::BEFORE };
}

/// The second block of a layer.
#[derive(Clone, Copy, Debug)]
pub enum FfnShape {
    /// One feed-forward layer.
    Dense(Dense),
    /// A mixture of them.
    Experts(Experts),
    /// Both, with norms of their own (Gemma 4).
    Beside(Dense, Experts),
    /// One of so many channels that looks a position back.
    ChannelMix(usize),
    /// There is none.
    Nothing,
}

/// A feed-forward layer.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    /// How wide it is inside.
    pub width: usize,
    /// The function inside.
    pub activation: Activation,
    /// Whether the function's value is a gate for a second matrix: `down(f(gate(x)) * up(x))`, else
    /// `down(f(up(x)))`.
    pub gated: bool,
    /// If only large gates count, by how many standard deviations above their mean they begin: that is
    /// subtracted, and what is below is 0.
    pub cut: Option<f32>,
    /// Whether the gate's rows come last where both matrices are one.
    pub gate_last: bool,
}

impl Dense {
    /// The usual one of this width.
    pub fn new(width: usize, activation: Activation, gated: bool) -> Dense {
        Dense { width, activation, gated, cut: None, gate_last: false }
    }
}

impl Description {
    /// Whether positions see later ones, so that a sequence is computed in one run.
    pub fn looks_ahead(&self) -> bool {
        let ahead = |mask| matches!(mask, Mask::Full | Mask::Around(_));
        self.layers.iter().any(|layer| ahead(layer.attention.mask))
    }

    /// Lets every position see later ones as it sees earlier ones, windows having half of their width to
    /// each side.
    pub fn look_ahead(&mut self) {
        for layer in &mut self.layers {
            layer.attention.mask = match layer.attention.mask {
                Mask::Causal => Mask::Full,
                Mask::Window(n) => Mask::Around(n / 2),
                other => other,
            };
        }
    }

    /// What each part of the cache holds: one for each layer that stores keys and values. No later pass
    /// needs those of a sequence that was computed in one run, so all layers alike take turns with one.
    pub fn caches(&self) -> Vec<KvShape> {
        let stored = self.layers.iter().filter(|layer| layer.stores());
        let mut shapes: Vec<KvShape> = stored.map(|layer| layer.attention.kv).collect();
        let own = self.layers.iter().all(|layer| layer.attention.kv_from.is_none());
        if self.looks_ahead() && own && shapes.windows(2).all(|pair| pair[0] == pair[1]) {
            shapes.truncate(1);
        }
        shapes
    }

    /// The part of the cache with a layer's keys and values.
    pub fn cache_of(&self, layer: usize) -> usize {
        let owner = self.layers[layer].attention.kv_from.unwrap_or(layer);
        let place = self.layers[..owner].iter().filter(|layer| layer.stores()).count();
        if self.caches().len() == 1 { 0 } else { place }
    }

    /// The place of a layer's states in the cache, where each block with a state has one.
    pub fn states_of(&self, layer: usize) -> usize {
        self.layers[..layer].iter().map(LayerShape::n_states).sum()
    }

    /// Changes the mixtures.
    pub fn experts(&mut self, change: impl Fn(&mut Experts)) {
        for layer in &mut self.layers {
            if let FfnShape::Experts(experts) | FfnShape::Beside(_, experts) = &mut layer.ffn {
                change(experts);
            }
        }
    }

    /// Makes the layers dense that have no experts by their place.
    pub fn sparse(&mut self, params: &Params, sparse: impl Fn(usize) -> bool) -> Result<()> {
        let n = self.layers.len();
        let widths = params.per_layer("feed_forward_length", n, None)?;
        for (i, layer) in self.layers.iter_mut().enumerate() {
            if let (FfnShape::Experts(experts), false) = (layer.ffn, sparse(i)) {
                let activation = experts.activation;
                layer.ffn = FfnShape::Dense(Dense::new(widths[i], activation, true));
            }
        }
        Ok(())
    }

    /// Gives layers the window `attention.sliding_window`, if there is one: those that
    /// `attention.sliding_window_pattern` says, or else the architecture. Returns which.
    pub fn windows(
        &mut self,
        params: &Params,
        default: impl Fn(usize) -> bool,
    ) -> Result<Vec<bool>> {
        let n = self.layers.len();
        let local = match params.flags("attention.sliding_window_pattern", n)? {
            Some(local) => local,
            None => (0..n).map(default).collect(),
        };
        self.window_of(params, local)
    }

    /// The same for these layers.
    pub fn window_of(&mut self, params: &Params, local: Vec<bool>) -> Result<Vec<bool>> {
        let Some(window) = params.opt::<u32>("attention.sliding_window")?.filter(|&n| n > 0) else {
            return Ok(vec![false; local.len()]);
        };
        let ahead = self.looks_ahead();
        for (layer, &local) in self.layers.iter_mut().zip(&local) {
            if local {
                layer.attention.mask = Mask::Window(window as usize);
            }
        }
        if ahead {
            self.look_ahead();
        }
        Ok(local)
    }

    /// Changes the feed-forward layers, experts excepted.
    pub fn dense(&mut self, change: impl Fn(&mut Dense)) {
        for layer in &mut self.layers {
            if let FfnShape::Dense(dense) | FfnShape::Beside(dense, _) = &mut layer.ffn {
                change(dense);
            }
        }
    }
}
