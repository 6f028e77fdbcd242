//! The usual pre-norm decoder, run from a description.
//!
//! For each layer: `x += attention(norm(x))`, `x += ffn(norm(x))`; then a norm and the output matrix.

use farthing_kernels::kv::{KvShape, Span};
use farthing_kernels::rope::Rotations;
use farthing_kernels::vector::{add, rms_norm};
use farthing_kernels::{Activations, Team};

use crate::batch::{Run, Wants};
use crate::blocks::{Attention, AttentionShape, Experts, Ffn, Moe, Scratch, Work};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::rope::Rope;
use crate::weights::{Linear, Weights, linear};

/// What an architecture says of itself.
pub struct Description {
    /// Layers.
    pub layers: usize,
    /// Width of the stream between layers.
    pub d: usize,
    /// Epsilon of the norms.
    pub eps: f32,
    /// Attention of every layer.
    pub attention: AttentionShape,
    /// Rotary positions.
    pub rope: Rope,
    /// Width of the feed-forward layers.
    pub ffn: usize,
    /// Experts in place of the feed-forward layers.
    pub experts: Option<Experts>,
}

enum FeedForward {
    Dense(Ffn),
    Experts(Moe),
}

struct Layer {
    attention_norm: Vec<f32>,
    attention: Attention,
    ffn_norm: Vec<f32>,
    ffn: FeedForward,
}

/// A description with its weights.
pub struct Decoder {
    about: Description,
    embedding: Linear,
    layers: Vec<Layer>,
    output_norm: Vec<f32>,
    output: Linear,
    memory: Memory,
}

/// What is used again from pass to pass.
#[derive(Default)]
struct Memory {
    /// The stream, `[n][d]`.
    stream: Vec<f32>,
    /// A block's input.
    x: Activations,
    /// A block's output.
    out: Vec<f32>,
    rotations: Rotations,
    blocks: Scratch,
}

impl Decoder {
    /// Finds the weights of a description.
    pub fn load(weights: &Weights, about: Description) -> Result<Decoder> {
        let d = about.d;
        let n_vocab = weights.shape("token_embd.weight")?.get(1).copied().unwrap_or(1);
        let embedding = weights.linear("token_embd", n_vocab, d)?;
        let output = if weights.has("output.weight") {
            weights.linear("output", n_vocab, d)?
        } else {
            embedding.clone()
        };
        let layer = |i: usize| -> Result<Layer> {
            let prefix = format!("blk.{i}");
            let ffn = match about.experts {
                Some(experts) => FeedForward::Experts(Moe::load(weights, &prefix, d, experts)?),
                None => FeedForward::Dense(Ffn::load(weights, &prefix, d, about.ffn)?),
            };
            Ok(Layer {
                attention_norm: weights.vector(&format!("{prefix}.attn_norm.weight"), d)?,
                attention: Attention::load(weights, &prefix, d, about.attention, about.eps)?,
                ffn_norm: weights.vector(&format!("{prefix}.ffn_norm.weight"), d)?,
                ffn,
            })
        };
        Ok(Decoder {
            layers: (0..about.layers).map(layer).collect::<Result<_>>()?,
            output_norm: weights.vector("output_norm.weight", d)?,
            embedding,
            output,
            about,
            memory: Memory::default(),
        })
    }

    /// Entries of the vocabulary.
    pub fn n_vocab(&self) -> usize {
        self.output.rows()
    }

    /// What each layer keeps in the cache.
    pub fn kv_shapes(&self) -> Vec<KvShape> {
        vec![self.about.attention.kv; self.layers.len()]
    }

    /// Computes the runs, see [`crate::Model::forward`].
    pub fn forward(
        &mut self,
        team: &Team,
        cache: &mut Cache,
        runs: &[Run],
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        let Description { d, eps, .. } = self.about;
        let Memory { stream, x, out, rotations, blocks } = &mut self.memory;
        let rope = &self.about.rope;
        let n: usize = runs.iter().map(|r| r.tokens.len()).sum();
        embed(&self.embedding, runs, d, stream)?;
        rotations.set(
            runs.iter().flat_map(|r| r.start..r.start + r.tokens.len()),
            &rope.frequencies,
            rope.magnitude,
        );
        let spans = spans(runs);
        let wanted = Wanted::new(runs);
        let kept = (wanted.rows.len() < n).then_some(wanted.rows.as_slice());
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers.iter().enumerate() {
            rms_norm(team, &stream[..], &layer.attention_norm, eps, x.reset(stream.len() / d, d));
            // The last layer needs every position's key and value, but only some outputs.
            let (wanted, kept) = if i == last { (&wanted.spans, kept) } else { (&spans, None) };
            layer.attention.forward(
                Work { team, x, out },
                &mut blocks.attention,
                rotations,
                rope.pairs,
                &mut cache.layers[i],
                &spans,
                (wanted, kept),
            );
            if let Some(kept) = kept {
                for (to, &from) in kept.iter().enumerate() {
                    stream.copy_within(from * d..(from + 1) * d, to * d);
                }
                stream.truncate(kept.len() * d);
            }
            if stream.is_empty() || team.interrupted() {
                break;
            }
            let len = stream.len();
            add(team, stream, &out[..len]);
            rms_norm(team, &stream[..], &layer.ffn_norm, eps, x.reset(stream.len() / d, d));
            match &layer.ffn {
                FeedForward::Dense(ffn) => ffn.forward(Work { team, x, out }, &mut blocks.ffn),
                FeedForward::Experts(moe) => moe.forward(Work { team, x, out }, &mut blocks.moe),
            }
            add(team, stream, &out[..len]);
        }
        logits.clear();
        if !stream.is_empty() && !team.interrupted() {
            let rows = stream.len() / d;
            rms_norm(team, &stream[..], &self.output_norm, eps, x.reset(rows, d));
            logits.resize(rows * self.output.rows(), 0.0);
            linear(team, x, &mut [(&self.output, &mut logits[..])]);
        }
        if team.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

fn embed(embedding: &Linear, runs: &[Run], d: usize, stream: &mut Vec<f32>) -> Result<()> {
    let tokens = runs.iter().flat_map(|r| &r.tokens);
    stream.resize(tokens.clone().count() * d, 0.0);
    for (&token, row) in tokens.zip(stream.chunks_exact_mut(d)) {
        if token as usize >= embedding.rows() {
            return Err(Error::Token { token, n_vocab: embedding.rows() });
        }
        embedding.row(token as usize, row);
    }
    Ok(())
}

fn spans(runs: &[Run]) -> Vec<Span<'_>> {
    let mut row = 0;
    let mut span = |run: &'_ Run| {
        let n = run.tokens.len();
        row += n;
        (row - n, n)
    };
    runs.iter()
        .map(|run| {
            let (row, n) = span(run);
            Span { row, n, start: run.start, pages: &run.pages }
        })
        .collect()
}

/// The rows whose logits are wanted, gathered.
struct Wanted<'a> {
    /// Their numbers in the batch.
    rows: Vec<usize>,
    /// Their spans, rows counted among the wanted ones.
    spans: Vec<Span<'a>>,
}

impl Wanted<'_> {
    fn new(runs: &[Run]) -> Wanted<'_> {
        let mut wanted = Wanted { rows: Vec::new(), spans: Vec::new() };
        let mut first = 0;
        for run in runs {
            let n = run.tokens.len();
            let skipped = match run.wants {
                Wants::Nothing => n,
                Wants::Last => n - 1,
                Wants::All => 0,
            };
            if skipped < n {
                let row = wanted.rows.len();
                let start = run.start + skipped;
                wanted.spans.push(Span { row, n: n - skipped, start, pages: &run.pages });
                wanted.rows.extend(first + skipped..first + n);
            }
            first += n;
        }
        wanted
    }
}
