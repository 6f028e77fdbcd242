//! The usual decoder, run from a description: an embedding, layers, a norm and the output matrix.

use std::cmp::Ordering;

use farthing_kernels::kv::{KvShape, Span};
use farthing_kernels::norm::Norm;
use farthing_kernels::profile::Part;
use farthing_kernels::recurrence::Turn;
use farthing_kernels::rope::Rotations;
use farthing_kernels::vector::{add, scale, softcap};
use farthing_kernels::{Activations, Team};

use crate::batch::Run;
use crate::blocks::{AltUpEnds, Batch, PerLayerInputs, Scratch};
use crate::cache::{Cache, StateShape};
use crate::description::{Description, LayerShape};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::lora::Lora;
use crate::rope::Rope;
use crate::rows::{Wanted, spans, turns};
use crate::weights::{Linear, Weights, linear};

/// A description with its weights.
pub struct Decoder {
    about: Description,
    embedding: Linear,
    positions: Option<Linear>,
    embedding_norm: Option<Norm>,
    per_layer: Option<PerLayerInputs>,
    altup: Option<AltUpEnds>,
    layers: Vec<Layer>,
    /// The last layer that keeps anything of a sequence. Those after it compute nothing but outputs.
    last_keeping: usize,
    output_norm: Norm,
    output: Linear,
    lora: Lora,
    memory: Memory,
}

/// What is used again from pass to pass.
#[derive(Default)]
pub struct Memory {
    /// The stream, `[n][d]`.
    pub stream: Vec<f32>,
    /// A block's input.
    pub x: Activations,
    /// A block's output.
    pub out: Vec<f32>,
    /// The blocks' own.
    pub blocks: Scratch,
    /// The layers' own embeddings, `[n][layers][width]`.
    pub per_layer: Vec<f32>,
    /// All streams, if there is more than one, `[n][streams][d]`.
    pub streams: Vec<f32>,
    /// The stream's width.
    pub d: usize,
    /// Of all rows, and of those whose logits are wanted.
    places: [Places; 2],
}

/// Where rows stand in their sequences.
#[derive(Default)]
struct Places {
    positions: Vec<usize>,
    /// For each of the model's rotary positions.
    rotations: Vec<Rotations>,
}

impl Places {
    fn set(&mut self, ropes: &[Rope], positions: impl Iterator<Item = usize>) {
        self.positions.clear();
        self.positions.extend(positions);
        self.rotations.resize_with(ropes.len(), Rotations::default);
        for (rope, rotations) in ropes.iter().zip(&mut self.rotations) {
            rotations.set(rope.pairs, &self.positions, &rope.frequencies, rope.magnitude);
        }
    }

    fn batch<'a>(&'a self, spans: &'a [Span<'a>], turns: &'a [Turn]) -> Batch<'a> {
        Batch {
            positions: &self.positions,
            rotations: &self.rotations,
            spans,
            turns,
            wanted: spans,
            kept: None,
        }
    }
}

impl Memory {
    /// Leaves some rows of the stream and of what goes with it, in their order.
    pub fn keep(&mut self, rows: &[usize]) {
        let n = self.stream.len() / self.d;
        for x in [&mut self.stream, &mut self.streams, &mut self.per_layer] {
            let width = x.len() / n.max(1);
            for (to, &from) in rows.iter().enumerate() {
                x.copy_within(from * width..(from + 1) * width, to * width);
            }
            x.truncate(rows.len() * width);
        }
    }
}

impl Decoder {
    /// Finds the weights of a description.
    pub fn load(weights: &Weights, about: Description) -> Result<Decoder> {
        let d = about.d;
        let n_vocab = weights.shape("token_embd.weight")?.get(1).copied().unwrap_or(1);
        let embedding = weights.table("token_embd", n_vocab, d)?;
        let output = if weights.has("output.weight") {
            weights.linear("output", n_vocab, d)?
        } else {
            embedding.clone()
        };
        let positions = || {
            let n = weights.shape("position_embd.weight")?.get(1).copied().unwrap_or(1);
            weights.table("position_embd", n, d)
        };
        let n_layers = about.layers.len();
        let per_layer = about.embedding.per_layer.map(|width| {
            PerLayerInputs::load(weights, (d, n_vocab), (n_layers, width), about.norm)
        });
        let altup = about.embedding.altup.map(|shape| AltUpEnds::load(weights, d, shape));
        let norm = |name: &str| weights.norm(name, d, about.norm);
        Ok(Decoder {
            positions: about.embedding.positions.then(positions).transpose()?,
            embedding_norm: about.embedding.norm.then(|| norm("token_embd_norm")).transpose()?,
            per_layer: per_layer.transpose()?,
            altup: altup.transpose()?,
            last_keeping: about.layers.iter().rposition(LayerShape::keeps).unwrap_or(0),
            layers: (0..n_layers)
                .map(|i| Layer::load(weights, &about, i))
                .collect::<Result<_>>()?,
            output_norm: norm(about.output.norm)?,
            embedding,
            output,
            lora: weights.lora().clone(),
            about,
            memory: Memory { d, ..Memory::default() },
        })
    }

    /// Entries of the vocabulary.
    pub fn n_vocab(&self) -> usize {
        self.output.rows()
    }

    /// What its matrices have in common about adapters.
    pub fn lora(&self) -> &Lora {
        &self.lora
    }

    /// How many positions there can be, where the weights bound them.
    pub fn n_positions(&self) -> Option<usize> {
        self.positions.as_ref().map(Linear::rows)
    }

    /// A bound of the positions unless more are asked for.
    pub fn usual_context(&self) -> usize {
        let short = self.about.ropes.iter().filter_map(|rope| rope.short_context);
        short.chain(self.n_positions()).min().unwrap_or(usize::MAX)
    }

    /// What each layer that stores keys and values keeps in the cache.
    pub fn kv_shapes(&self) -> Vec<KvShape> {
        let stored = self.about.layers.iter().filter(|layer| layer.stores());
        stored.map(|layer| layer.attention.kv).collect()
    }

    /// What each block with a state keeps of a sequence.
    pub fn states(&self) -> Vec<StateShape> {
        self.layers.iter().flat_map(Layer::states).collect()
    }

    /// Computes the runs, see [`crate::Model::forward`].
    pub fn forward(
        &mut self,
        team: &Team,
        cache: &mut Cache,
        runs: &[Run],
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        let d = self.about.d;
        let (spans, wanted, turns) = (spans(runs), Wanted::new(runs), turns(runs));
        let n_rows = runs.iter().map(|run| run.tokens.len()).sum();
        let kept = (wanted.rows.len() < n_rows).then_some(wanted.rows.as_slice());
        let lora = self.lora.clone();
        let _adapters = lora.begin(runs, kept);
        self.embed(team, runs)?;
        let mut places = std::mem::take(&mut self.memory.places);
        let [every, some] = &mut places;
        every.set(&self.about.ropes, runs.iter().flat_map(|r| r.start..r.start + r.tokens.len()));
        some.set(&self.about.ropes, wanted.rows.iter().map(|&row| every.positions[row]));
        let (all, after) = (every.batch(&spans, &turns), some.batch(&wanted.spans, &turns));
        // The last layer that keeps something needs every row for that, but only some outputs.
        let end = Batch { wanted: &wanted.spans, kept, ..all };
        for (i, layer) in self.layers.iter().enumerate() {
            let batch = match i.cmp(&self.last_keeping) {
                Ordering::Less => &all,
                Ordering::Equal if layer.needs_all_rows() => &all,
                Ordering::Equal => &end,
                Ordering::Greater => &after,
            };
            layer.forward(team, batch, cache, &mut self.memory);
            if let (Some(kept), true) = (kept, i == self.last_keeping && layer.needs_all_rows()) {
                self.memory.keep(kept);
            }
            if team.interrupted() || self.memory.stream.is_empty() {
                break;
            }
        }
        self.memory.places = places;
        logits.clear();
        if team.interrupted() {
            return Err(Error::Interrupted);
        }
        let Memory { stream, streams, blocks, x, .. } = &mut self.memory;
        if !stream.is_empty() {
            if let Some(altup) = &self.altup {
                altup.merge(team, streams, &mut blocks.altup, stream);
            }
            let n = stream.len() / d;
            self.output_norm.apply(team, stream, x.reset(n, d));
            let _part = team.part(Part::Head);
            logits.resize(n * self.output.rows(), 0.0);
            linear(team, x, &mut [(&self.output, &mut logits[..])]);
            let output = &self.about.output;
            if output.scale != 1.0 {
                scale(team, logits, output.scale);
            }
            if let Some(cap) = output.softcap {
                softcap(team, logits, cap);
            }
        }
        if team.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Fills the stream.
    fn embed(&mut self, team: &Team, runs: &[Run]) -> Result<()> {
        let _part = team.part(Part::Embedding);
        let Memory { stream, x, out, per_layer, streams, .. } = &mut self.memory;
        let tokens = || runs.iter().flat_map(|r| r.tokens.iter().map(|&token| token as usize));
        let n_vocab = self.embedding.rows();
        if let Some(token) = tokens().find(|&token| token >= n_vocab) {
            return Err(Error::Token { token: token as u32, n_vocab });
        }
        self.embedding.rows_of(team, tokens(), stream);
        if self.about.embedding.scale != 1.0 {
            scale(team, stream, self.about.embedding.scale);
        }
        if let Some(table) = &self.positions {
            table.rows_of(team, runs.iter().flat_map(|r| r.start..r.start + r.tokens.len()), out);
            add(team, stream, out);
        }
        if let Some(norm) = &self.embedding_norm {
            norm.apply_in_place(team, &mut stream[..]);
        }
        if let Some(inputs) = &self.per_layer {
            x.reset(stream.len() / self.about.d, self.about.d).copy_from_slice(stream);
            inputs.compute(team, tokens(), x, out, per_layer);
        }
        if let Some(altup) = &self.altup {
            x.reset(stream.len() / self.about.d, self.about.d).copy_from_slice(stream);
            altup.spread(team, x, out, streams);
        }
        Ok(())
    }
}
