//! A task's rows meet one page.

use std::marker::PhantomData;
use std::simd::prelude::*;

use super::product::{Product, product};
use super::rows::{Rows, Scores, hide};
use super::state::State;
use crate::float::max_lane;
use crate::isa::{F, Isa, LANES, P, prefetch};
use crate::kv::{Format, KvShape, PAGE, Part};
use crate::math::exp2;

/// Rows that go through scores, softmax and outputs together, so that their scores stay in the cache.
const TOGETHER: usize = 24;

/// Memory that tasks use again: matrices of cells, see [`product`].
#[derive(Default)]
pub struct Scratch {
    /// `[rows][k cells]`
    queries: Vec<u32>,
    /// `[k cells][64]`
    keys: Vec<u32>,
    /// `[64 or 32][padded v_dim]`
    values: Vec<u32>,
    /// `[24][64]`, later as weights
    scores: Vec<u32>,
    /// Those of the page's part.
    scales: Vec<f32>,
}

/// Pages of one shape and format. In pairs, number `i` of the inner dimension stands with number
/// `i + half`.
pub struct Pages<T, const PAIRS: bool> {
    shape: KvShape,
    format: PhantomData<T>,
}

impl<T: Format, const PAIRS: bool> Pages<T, PAIRS> {
    pub fn new(shape: KvShape) -> Self {
        Pages { shape, format: PhantomData }
    }

    /// Cells of a key.
    #[inline(always)]
    fn k_cells(&self) -> usize {
        if PAIRS { self.shape.k_dim.div_ceil(2) } else { self.shape.k_dim }
    }

    /// Makes room for some rows.
    #[inline(always)]
    pub fn prepare(&self, scratch: &mut Scratch, rows: usize) {
        let (k, v) = (self.k_cells(), self.shape.padded_v());
        for (memory, len) in [
            (&mut scratch.queries, rows * k + LANES),
            (&mut scratch.keys, k * PAGE),
            (&mut scratch.values, PAGE * v),
            (&mut scratch.scores, TOGETHER * PAGE),
        ] {
            if memory.len() < len {
                memory.resize(len, 0);
            }
        }
        scratch.scales.resize(T::n_scales(self.shape), 0.0);
    }

    /// Takes the queries of some rows, times `scale`.
    #[inline(always)]
    pub fn query<A: Isa>(&self, isa: A, scratch: &mut Scratch, row: usize, q: &[f32], scale: f32) {
        let (dim, cells) = (self.shape.k_dim, self.k_cells());
        for (i, q) in q.chunks_exact(dim).enumerate() {
            let to = &mut scratch.queries[(row + i) * cells..][..cells + LANES];
            for at in (0..cells).step_by(LANES) {
                let x = F::load_or_default(&q[at..]) * F::splat(scale);
                // What is beyond the row's cells is written over by the next row.
                let cell = if PAIRS {
                    let second = F::load_or_default(&q[(cells + at).min(dim)..]);
                    isa.pairs(x, second * F::splat(scale))
                } else {
                    x.to_bits()
                };
                cell.copy_to_slice(&mut to[at..]);
            }
        }
    }

    /// Adds what the rows see of the page that begins at `start` to the state. The part of the head in
    /// the next page, `ahead`, is fetched meanwhile; it need not exist.
    ///
    /// # Safety
    /// `part` is a head's part of a page; `scratch` was prepared for the rows.
    #[inline(always)]
    pub unsafe fn attend<A: Isa>(
        &self,
        isa: A,
        rows: &Rows,
        start: usize,
        (part, ahead): (*const u8, *const u8),
        scratch: &mut Scratch,
        state: &mut State,
    ) {
        let seen = rows.visible_in(0..rows.n, start);
        // SAFETY: the caller's conditions.
        unsafe {
            T::scales(isa, part, self.shape, &mut scratch.scales);
            let part = Part { bytes: part, scales: scratch.scales.as_ptr() };
            let ahead = self.unpack_keys(isa, part, ahead, &mut scratch.keys);
            self.unpack_values(isa, part, ahead, seen.end, &mut scratch.values);
        }
        let (cells, width) = (self.k_cells(), self.shape.padded_v());
        for first in (0..rows.n).step_by(TOGETHER) {
            let n = (rows.n - first).min(TOGETHER);
            let seen = rows.visible_in(first..first + n, start);
            if seen.is_empty() {
                continue;
            }
            let scores = &mut scratch.scores[..n * PAGE];
            let product_qk = Product {
                a: scratch.queries[first * cells..][..n * cells].as_ptr(),
                a_stride: cells,
                b: scratch.keys[..cells * PAGE].as_ptr(),
                c: scores.as_mut_ptr().cast(),
                width: PAGE,
                depth: cells,
            };
            // SAFETY: the slices above have the sizes of the product.
            unsafe { product::<A, PAIRS>(isa, product_qk, n, None) };
            let mut factors = [1.0; TOGETHER];
            for i in 0..n {
                let row = first + i;
                let scores = &mut scores[i * PAGE..][..PAGE];
                factors[i] = soften::<A, PAIRS>(isa, rows, row, start, scores, state);
            }
            let depth = if PAIRS { seen.end.min(PAGE / 2) } else { seen.end };
            let product_pv = Product {
                a: scores.as_ptr(),
                a_stride: PAGE,
                b: scratch.values[..depth * width].as_ptr(),
                c: state.out[first * width..][..n * width].as_mut_ptr(),
                width,
                depth,
            };
            // SAFETY: as above.
            unsafe { product::<A, PAIRS>(isa, product_pv, n, Some(&factors[..n])) };
        }
    }

    /// Returns where the fetching has come to.
    ///
    /// # Safety
    /// As for [`Pages::attend`]; the part has its scales.
    #[inline(always)]
    unsafe fn unpack_keys<A: Isa>(
        &self,
        isa: A,
        part: Part,
        ahead: *const u8,
        to: &mut [u32],
    ) -> *const u8 {
        let (shape, cells) = (self.shape, self.k_cells());
        let mut ahead = ahead;
        for (i, to) in to[..cells * PAGE].chunks_exact_mut(PAGE).enumerate() {
            for (j, to) in to.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                // SAFETY: dimensions and places are inside.
                let cell = unsafe {
                    let first = T::key(isa, part, shape, i, j * LANES);
                    if !PAIRS {
                        first.to_bits()
                    } else if cells + i < shape.k_dim {
                        isa.pairs(first, T::key(isa, part, shape, cells + i, j * LANES))
                    } else {
                        isa.pairs(first, F::splat(0.0))
                    }
                };
                *to = cell.to_array();
            }
            ahead = self.fetch(ahead);
        }
        ahead
    }

    /// Values of the first `n` positions.
    ///
    /// # Safety
    /// As for [`Pages::attend`]; the part has its scales.
    #[inline(always)]
    unsafe fn unpack_values<A: Isa>(
        &self,
        isa: A,
        part: Part,
        ahead: *const u8,
        n: usize,
        to: &mut [u32],
    ) {
        let (shape, width) = (self.shape, self.shape.padded_v());
        let cells = if PAIRS { PAGE / 2 } else { PAGE };
        let mut ahead = ahead;
        for (i, to) in to[..cells * width].chunks_exact_mut(width).enumerate().take(n) {
            for (j, to) in to.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                // SAFETY: positions and dimensions are inside.
                let cell = unsafe {
                    let first = T::value(isa, part, shape, i, j * LANES);
                    if !PAIRS {
                        first.to_bits()
                    } else if cells + i < n {
                        isa.pairs(first, T::value(isa, part, shape, cells + i, j * LANES))
                    } else {
                        // Not written yet, or what was there before.
                        isa.pairs(first, F::splat(0.0))
                    }
                };
                *to = cell.to_array();
            }
            ahead = self.fetch(ahead);
        }
    }

    /// Fetches the share of a part that goes with one row of cells, and returns where the next begins.
    #[inline(always)]
    fn fetch(&self, ahead: *const u8) -> *const u8 {
        let steps = self.k_cells() + if PAIRS { PAGE / 2 } else { PAGE };
        let share = T::bytes(self.shape).div_ceil(steps).next_multiple_of(64);
        prefetch(ahead, share);
        ahead.wrapping_add(share)
    }
}

/// A row's scores become cells of weights `2^(score - max)`; returns what older outputs are to be
/// multiplied with, which it has done for the sum.
#[inline(always)]
fn soften<A: Isa, const PAIRS: bool>(
    isa: A,
    rows: &Rows,
    row: usize,
    start: usize,
    cells: &mut [u32],
    state: &mut State,
) -> f32 {
    let mut scores: Scores = [F::splat(0.0); PAGE / LANES];
    for (x, cells) in scores.iter_mut().zip(cells.as_chunks::<LANES>().0) {
        *x = F::from_bits(P::from_array(*cells));
    }
    if rows.adjusts() {
        rows.adjust(isa, row, start, &mut scores);
    }
    let visible = rows.visible_in(row..row + 1, start);
    if visible.is_empty() {
        cells.fill(0);
        return 1.0;
    }
    if visible != (0..PAGE) {
        hide(&mut scores, &visible);
    }
    let [a, b, c, d] = scores;
    let largest = a.simd_max(b).simd_max(c.simd_max(d));
    let (old, mut max) = (state.max[row], state.max[row]);
    if largest.simd_gt(F::splat(old)).any() {
        max = max_lane(largest);
    }
    let mut factor = 1.0;
    let mut sum = F::from_array(state.sum[row]);
    if max != old {
        state.max[row] = max;
        factor = exp2(isa, F::splat(old - max))[0];
        sum *= F::splat(factor);
    }
    for x in &mut scores {
        *x = exp2(isa, *x - F::splat(max));
        sum += *x;
    }
    state.sum[row] = sum.to_array();
    let to = cells.as_chunks_mut::<LANES>().0;
    if PAIRS {
        to[0] = isa.pairs(scores[0], scores[2]).to_array();
        to[1] = isa.pairs(scores[1], scores[3]).to_array();
    } else {
        for (to, x) in to.iter_mut().zip(scores) {
            *to = x.to_bits().to_array();
        }
    }
    factor
}
