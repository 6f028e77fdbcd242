//! The usual decoder, run from a description: an embedding, layers, a norm and the output matrix.

use std::cmp::Ordering;

use farthing_kernels::kv::{KvShape, Span};
use farthing_kernels::norm::Norm;
use farthing_kernels::profile::Part;
use farthing_kernels::recurrence::Turn;
use farthing_kernels::rope::Rotations;
use farthing_kernels::vector::{add, add_bias, scale, softcap};
use farthing_kernels::{Activations, Team};

use crate::abilities::{Abilities, Pooling};
use crate::batch::Run;
use crate::blocks::{AltUpEnds, Batch, PerLayerInputs, Scratch};
use crate::cache::{Cache, StateShape};
use crate::description::{Description, LayerShape};
use crate::error::{Error, Result};
use crate::head::Head;
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
    token_type: Option<Vec<f32>>,
    embedding_norm: Option<Norm>,
    per_layer: Option<PerLayerInputs>,
    altup: Option<AltUpEnds>,
    layers: Vec<Layer>,
    /// The last layer that keeps anything of a sequence. Those after it compute nothing but outputs.
    last_keeping: usize,
    output_norm: Option<Norm>,
    output: Option<Linear>,
    head: Head,
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
        let output = || match weights.has("output.weight") {
            true => weights.linear("output", n_vocab, d),
            false => Ok(embedding.clone()),
        };
        let token_type = || -> Result<_> {
            let n = weights.shape("token_types.weight")?.get(1).copied().unwrap_or(1);
            let mut types = weights.matrix("token_types.weight", n, d)?;
            types.truncate(d);
            Ok(types)
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
            token_type: about.embedding.types.then(token_type).transpose()?,
            embedding_norm: about.embedding.norm.then(|| norm("token_embd_norm")).transpose()?,
            per_layer: per_layer.transpose()?,
            altup: altup.transpose()?,
            last_keeping: about.layers.iter().rposition(LayerShape::keeps).unwrap_or(0),
            layers: (0..n_layers)
                .map(|i| Layer::load(weights, &about, i))
                .collect::<Result<_>>()?,
            output_norm: about.output.norm.map(norm).transpose()?,
            output: about.output.logits.then(output).transpose()?,
            head: Head::load(weights, &about)?,
            embedding,
            lora: weights.lora().clone(),
            about,
            memory: Memory { d, ..Memory::default() },
        })
    }

    /// Entries of the vocabulary.
    pub fn n_vocab(&self) -> usize {
        self.embedding.rows()
    }

    /// What it can be asked for.
    pub fn abilities(&self) -> Abilities {
        let looks_ahead = self.about.looks_ahead();
        Abilities {
            generates: self.output.is_some() && !looks_ahead,
            looks_ahead,
            width: self.about.d,
            embedding: self.head.width(),
            pooling: self.head.pooling(),
            classified: self.head.classified(),
        }
    }

    /// Applies the head, see [`crate::Model::head`].
    pub fn finish(&mut self, team: &Team, pooling: Pooling, n: usize, vectors: &mut Vec<f32>) {
        let _part = team.part(Part::Head);
        match pooling {
            Pooling::None => {}
            Pooling::Rank => self.head.classify(team, n, vectors),
            _ => self.head.embed(team, n, vectors),
        }
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

    /// What each part of the cache holds.
    pub fn kv_shapes(&self) -> Vec<KvShape> {
        self.about.caches()
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
        rows: &mut Vec<f32>,
    ) -> Result<()> {
        let (spans, wanted, turns) = (spans(runs), Wanted::new(runs), turns(runs));
        let n_rows = runs.iter().map(|run| run.tokens.len()).sum();
        let kept = (wanted.rows.len() < n_rows).then_some(wanted.rows.as_slice());
        let lora = self.lora.clone();
        let _adapters = lora.begin(runs, &wanted);
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
        rows.clear();
        if team.interrupted() {
            return Err(Error::Interrupted);
        }
        if !self.memory.stream.is_empty() {
            self.output(team, &wanted, rows);
        }
        if team.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Makes logits and vectors of the stream.
    fn output(&mut self, team: &Team, wanted: &Wanted, rows: &mut Vec<f32>) {
        let _part = team.part(Part::Head);
        let Memory { stream, streams, x, blocks, d, .. } = &mut self.memory;
        let (n, d) = (stream.len() / *d, *d);
        if let Some(altup) = &self.altup {
            altup.merge(team, streams, &mut blocks.altup, stream);
        }
        match &self.output_norm {
            Some(norm) => norm.apply(team, stream, x.reset(n, d)),
            None => x.reset(n, d).copy_from_slice(stream),
        }
        let n_logits = match &self.output {
            Some(output) => wanted.logits.len() * output.rows(),
            None => 0,
        };
        rows.resize(n_logits, 0.0);
        for &row in &wanted.vectors {
            rows.extend_from_slice(&x.floats()[row * d..(row + 1) * d]);
        }
        let (Some(matrix), false) = (&self.output, wanted.logits.is_empty()) else {
            return;
        };
        if wanted.logits.len() < n {
            x.keep(&wanted.logits);
        }
        let logits = &mut rows[..n_logits];
        linear(team, x, &mut [(matrix, &mut *logits)]);
        let output = &self.about.output;
        if output.scale != 1.0 {
            scale(team, logits, output.scale);
        }
        if let Some(cap) = output.softcap {
            softcap(team, logits, cap);
        }
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
        if let Some(row) = &self.token_type {
            add_bias(team, stream, row);
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
