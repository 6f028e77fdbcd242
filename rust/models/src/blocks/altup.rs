//! Alternating updates (AltUp, arXiv:2301.13310), as Gemma 3n has them: there are several streams, of which a
//! layer computes one. What becomes of the others is predicted before and corrected after.

use farthing_kernels::norm::Norm;
use farthing_kernels::vector::{add, scale, weighted_sums};
use farthing_kernels::{Activations, Team};

use super::sized;
use crate::description::NormShape;
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// What keeps the divisor of a stream's size from 0; no file says it.
const SIZE_EPS: f32 = 1e-5;
/// Elements below which another thread does not pay.
const GRAIN: usize = 1 << 14;

/// How many streams there are, and which one layers compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AltUpShape {
    /// Streams.
    pub n: usize,
    /// The one that layers compute, less than `n`.
    pub active: usize,
}

/// What makes streams of one and one of them.
pub struct AltUpEnds {
    /// From the embedding to each stream but the first.
    spread: Vec<Linear>,
    /// Back again.
    merge: Vec<Linear>,
}

/// A layer's part.
pub struct AltUp {
    shape: AltUpShape,
    router_norm: Norm,
    router: Linear,
    /// `[to][from][n]`: what each stream's prediction has of each, by what the router says.
    predict: Vec<f32>,
    /// `[n][n]`: how much each stream is corrected, by what the router says.
    correct: Vec<f32>,
    /// Of what per-layer embeddings read.
    scale: Vec<f32>,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    x: Activations,
    router: Vec<f32>,
    picks: Vec<(u32, f32)>,
    predicted: Vec<f32>,
}

impl AltUpEnds {
    /// `altup_proj` and `altup_unembd_proj` of a model of width `d`.
    pub fn load(weights: &Weights, d: usize, shape: AltUpShape) -> Result<AltUpEnds> {
        let load = |name: &str| weights.stack(name, shape.n - 1, d, d);
        Ok(AltUpEnds { spread: load("altup_proj")?, merge: load("altup_unembd_proj")? })
    }

    /// Writes all streams, `[n][streams][d]`, `x` being the embeddings.
    pub fn spread(&self, team: &Team, x: &mut Activations, out: &mut Vec<f32>, all: &mut Vec<f32>) {
        let (n, d) = (x.n(), x.k());
        all.resize(n * (self.spread.len() + 1) * d, 0.0);
        copy(x.floats(), d, all, self.spread.len() + 1, 0);
        let out = sized(out, n * d);
        for (i, matrix) in self.spread.iter().enumerate() {
            linear(team, x, &mut [(matrix, &mut *out)]);
            resize(x.floats(), out, d);
            copy(out, d, all, self.spread.len() + 1, i + 1);
        }
    }

    /// Writes the mean of all streams to `stream`.
    pub fn merge(&self, team: &Team, all: &[f32], s: &mut Scratch, stream: &mut [f32]) {
        let n = self.merge.len() + 1;
        let d = self.merge.first().map_or(stream.len() * n / all.len(), Linear::rows);
        take(all, d, n, 0, stream);
        let first = stream.to_vec();
        let out = sized(&mut s.predicted, stream.len());
        for (i, matrix) in self.merge.iter().enumerate() {
            take(all, d, n, i + 1, s.x.reset(first.len() / d, d));
            linear(team, &mut s.x, &mut [(matrix, &mut *out)]);
            resize(&first, out, d);
            add(team, stream, out);
        }
        scale(team, stream, 1.0 / n as f32);
    }
}

impl AltUp {
    /// `<prefix>.altup_*` of a model of width `d`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        shape: AltUpShape,
        norm: NormShape,
    ) -> Result<AltUp> {
        let name = |part: &str| format!("{prefix}.altup_{part}");
        let matrix = |part: &str, rows: usize| weights.matrix(&name(part), rows, shape.n);
        let mut router_norm = weights.vector(&name("router_norm.weight"), d)?;
        router_norm.iter_mut().for_each(|weight| *weight /= d as f32);
        Ok(AltUp {
            shape,
            router_norm: Norm::new(norm.kind, norm.eps, d, router_norm, Vec::new()),
            router: weights.linear(&name("router"), shape.n, d)?,
            predict: matrix("predict_coef.weight", shape.n * shape.n)?,
            correct: matrix("correct_coef.weight", shape.n)?,
            scale: weights.vector(&name("correct_scale.weight"), d)?,
        })
    }

    /// Makes predictions of all streams, and of `stream` the one that the layer computes.
    pub fn predict(&self, team: &Team, s: &mut Scratch, all: &mut Vec<f32>, stream: &mut [f32]) {
        let (AltUpShape { n, active }, d) = (self.shape, self.scale.len());
        take(all, d, n, active, stream);
        self.route(team, s, stream);
        s.picks.clear();
        for (row, says) in s.router.chunks_exact(n).enumerate() {
            for (i, weights) in self.predict.chunks_exact(n).enumerate() {
                let (to, from) = (i / n, i % n);
                let kept = if to == from { 1.0 } else { 0.0 };
                s.picks.push(((row * n + from) as u32, kept + dot(weights, says)));
            }
        }
        s.predicted.resize(all.len(), 0.0);
        weighted_sums(team, all, &s.picks, d, &mut s.predicted);
        std::mem::swap(all, &mut s.predicted);
        take(all, d, n, active, stream);
    }

    /// Corrects all streams by what the layer made of its one; `stream` becomes what per-layer embeddings
    /// read.
    pub fn correct(&self, team: &Team, s: &mut Scratch, all: &mut [f32], stream: &mut [f32]) {
        let (AltUpShape { n, active }, d) = (self.shape, self.scale.len());
        self.route(team, s, stream);
        let grain = GRAIN / (n * d) + 1;
        team.for_rows(stream, d, grain, &|first, rows| {
            for (i, row) in (first..).zip(rows.chunks_exact_mut(d)) {
                let predicted = &all[(i * n + active) * d..][..d];
                row.iter_mut().zip(predicted).for_each(|(x, predicted)| *x -= predicted);
            }
        });
        let (new, router) = (&*stream, &s.router);
        team.for_rows(all, d, grain, &|first, rows| {
            for (i, row) in (first..).zip(rows.chunks_exact_mut(d)) {
                let (token, to) = (i / n, i % n);
                let factor = 1.0 + dot(&self.correct[to * n..][..n], &router[token * n..][..n]);
                let new = &new[token * d..][..d];
                row.iter_mut().zip(new).for_each(|(x, new)| *x += factor * new);
            }
        });
        take(all, d, n, active, stream);
        for row in stream.chunks_exact_mut(d) {
            row.iter_mut().zip(&self.scale).for_each(|(x, scale)| *x *= scale);
        }
    }

    /// Adds `x` to all streams but the first.
    pub fn add(&self, team: &Team, x: &[f32], all: &mut [f32]) {
        let (n, d) = (self.shape.n, self.scale.len());
        team.for_rows(all, n * d, GRAIN / (n * d) + 1, &|first, rows| {
            for (row, x) in rows.chunks_exact_mut(n * d).zip(x.chunks_exact(d).skip(first)) {
                for stream in row.chunks_exact_mut(d).skip(1) {
                    stream.iter_mut().zip(x).for_each(|(to, x)| *to += x);
                }
            }
        });
    }

    /// Leaves in the scratch what the router says of each row, `[rows][n]`.
    fn route(&self, team: &Team, s: &mut Scratch, stream: &[f32]) {
        let d = self.scale.len();
        let rows = stream.len() / d;
        self.router_norm.apply(team, stream, s.x.reset(rows, d));
        s.router.resize(rows * self.shape.n, 0.0);
        linear(team, &mut s.x, &mut [(&self.router, &mut s.router[..])]);
        s.router.iter_mut().for_each(|x| *x = x.tanh());
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gives each row of `x` the size of the same row of `like`.
fn resize(like: &[f32], x: &mut [f32], d: usize) {
    let square = |row: &[f32]| dot(row, row) / d as f32;
    for (like, x) in like.chunks_exact(d).zip(x.chunks_exact_mut(d)) {
        let factor = (square(like) / square(x).max(SIZE_EPS)).sqrt();
        x.iter_mut().for_each(|x| *x *= factor);
    }
}

/// Rows of `d` to stream `i` of `n`.
fn copy(rows: &[f32], d: usize, all: &mut [f32], n: usize, i: usize) {
    for (row, all) in rows.chunks_exact(d).zip(all.chunks_exact_mut(n * d)) {
        all[i * d..][..d].copy_from_slice(row);
    }
}

/// The rows of stream `i` of `n`.
fn take(all: &[f32], d: usize, n: usize, i: usize, rows: &mut [f32]) {
    for (row, all) in rows.chunks_exact_mut(d).zip(all.chunks_exact(n * d)) {
        row.copy_from_slice(&all[i * d..][..d]);
    }
}
