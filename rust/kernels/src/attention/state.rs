//! The state of an online softmax, row by row.

use std::f32::consts::LOG2_E;

use crate::float::add_lanes;
use crate::isa::{F, Isa, LANES};
use crate::kv::KvShape;
use crate::math::exp2;

/// For each row the largest score, lanes with sums of `2^(score - max)`, and the outputs weighted so.
pub struct State<'a> {
    pub max: &'a mut [f32],
    pub sum: &'a mut [[f32; LANES]],
    /// `[rows][padded v_dim]`
    pub out: &'a mut [f32],
}

impl<'a> State<'a> {
    /// How many floats it takes.
    pub fn len(rows: usize, shape: KvShape) -> usize {
        rows * (1 + LANES + shape.padded_v())
    }

    /// One in this memory, which holds what it held.
    pub fn new(memory: &'a mut [f32], rows: usize, shape: KvShape) -> State<'a> {
        let (max, rest) = memory[..State::len(rows, shape)].split_at_mut(rows);
        let (sum, out) = rest.split_at_mut(rows * LANES);
        State { max, sum: sum.as_chunks_mut().0, out }
    }

    /// Of no positions.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.max.fill(f32::NEG_INFINITY);
        self.sum.as_flattened_mut().fill(0.0);
        self.out.fill(0.0);
    }

    /// Adds later positions.
    #[inline(always)]
    pub fn merge<A: Isa>(&mut self, isa: A, part: &State) {
        let width = self.out.len() / self.max.len();
        for row in 0..self.max.len() {
            let (old, new) = (self.max[row], part.max[row]);
            if new == f32::NEG_INFINITY {
                continue;
            }
            let max = if new > old { new } else { old };
            let (old, new) = (exp2(isa, F::splat(old - max)), exp2(isa, F::splat(new - max)));
            self.max[row] = max;
            add(&mut self.sum[row], old, &part.sum[row], new);
            let at = row * width..(row + 1) * width;
            add(&mut self.out[at.clone()], old, &part.out[at], new);
        }
    }

    /// A row's result, its head having perhaps a sink.
    #[inline(always)]
    pub fn output<A: Isa>(&self, isa: A, row: usize, sink: Option<f32>, out: &mut [f32]) {
        let width = self.out.len() / self.max.len();
        let (mut sum, mut scale) = (add_lanes(F::from_array(self.sum[row])), 1.0);
        if let Some(sink) = sink {
            let sink = sink * LOG2_E;
            let max = self.max[row].max(sink);
            scale = exp2(isa, F::splat(self.max[row] - max))[0];
            sum = sum * scale + exp2(isa, F::splat(sink - max))[0];
        }
        let factor = if sum == 0.0 { 0.0 } else { scale / sum };
        for (out, x) in out.iter_mut().zip(&self.out[row * width..]) {
            *out = x * factor;
        }
    }
}

/// `x = x * old + y * new`, of whole vectors.
#[inline(always)]
fn add(x: &mut [f32], old: F, y: &[f32], new: F) {
    for (x, y) in x.as_chunks_mut::<LANES>().0.iter_mut().zip(y.as_chunks::<LANES>().0) {
        *x = (F::from_array(*x) * old + F::from_array(*y) * new).to_array();
    }
}
