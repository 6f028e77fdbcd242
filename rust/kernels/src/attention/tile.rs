//! A tile of queries meets one page.

use std::simd::Select;
use std::simd::prelude::*;

use super::{Mask, State, padded};
use crate::float::add_lanes;
use crate::isa::{F, Isa, LANES};
use crate::kv::{Element, PAGE};
use crate::math::{exp, tanh};

/// The rows of a tile: `group` heads of each of some consecutive tokens.
pub struct Rows<'a> {
    pub n: usize,
    pub group: usize,
    /// The first token's position.
    pub first: usize,
    /// How many positions the sequence has.
    pub end: usize,
    pub mask: Mask,
    pub softcap: Option<f32>,
    /// For each head of the group.
    pub slopes: Option<&'a [f32]>,
}

impl Rows<'_> {
    #[inline(always)]
    fn position(&self, row: usize) -> usize {
        self.first + row / self.group
    }

    /// The positions that a row sees; they begin and end later in later rows.
    #[inline(always)]
    pub fn visible(&self, row: usize) -> std::ops::Range<usize> {
        self.mask.visible(self.position(row), self.end)
    }

    /// Whether any row sees anything of the page.
    pub fn sees(&self, page: usize) -> bool {
        let oldest = self.visible(0).start;
        let newest = self.visible(self.n - 1).end;
        page * PAGE < newest && (page + 1) * PAGE > oldest
    }
}

/// Memory that tasks use again.
#[derive(Default)]
pub struct Scratch {
    /// `[rows][k_dim]`, scaled.
    pub q: Vec<f32>,
    /// `[k_dim][64]`
    keys: Vec<f32>,
    /// `[64][padded(v_dim)]`
    values: Vec<f32>,
    /// `[rows][64]`
    scores: Vec<f32>,
}

impl Scratch {
    pub fn resize(&mut self, rows: usize, k_dim: usize, v_dim: usize) {
        for (v, len) in [
            (&mut self.q, rows * k_dim),
            (&mut self.keys, PAGE * k_dim),
            (&mut self.values, PAGE * padded(v_dim)),
            (&mut self.scores, rows * PAGE),
        ] {
            if v.len() < len {
                v.resize(len, 0.0);
            }
        }
    }
}

/// Adds the page that begins at `position` to the state.
#[inline(always)]
pub fn attend_page<A: Isa, E: Element>(
    isa: A,
    rows: &Rows,
    position: usize,
    (keys, values): (&[E], &[E]),
    scratch: &mut Scratch,
    state: &mut State,
) {
    let (k_dim, v_dim) = (keys.len() / PAGE, values.len() / PAGE);
    let width = padded(v_dim);
    let Scratch { q, keys: k, values: v, scores } = scratch;
    let n_positions = (rows.visible(rows.n - 1).end - position).min(PAGE);
    convert(isa, keys, keys.len(), &mut k[..keys.len()]);
    for (from, to) in values.chunks_exact(v_dim).zip(v.chunks_exact_mut(width)).take(n_positions) {
        convert(isa, from, v_dim, to);
    }
    let scores = &mut scores[..rows.n * PAGE];
    scores.fill(0.0);
    product(isa, Product { a: q, a_width: k_dim, b: k, b_width: PAGE, k: k_dim }, scores);
    for (row, scores) in scores.chunks_exact_mut(PAGE).enumerate() {
        adjust(isa, rows, row, position, scores);
        let visible = rows.visible(row);
        let factor = soften(
            isa,
            scores,
            visible.start.saturating_sub(position).min(PAGE)
                ..visible.end.saturating_sub(position).min(PAGE),
            &mut state.max[row],
            &mut state.sum[row],
        );
        if factor != 1.0 {
            for out in state.out[row * width..][..width].chunks_exact_mut(LANES) {
                (F::from_slice(out) * F::splat(factor)).copy_to_slice(out);
            }
        }
    }
    product(
        isa,
        Product { a: scores, a_width: PAGE, b: v, b_width: width, k: n_positions },
        &mut state.out,
    );
}

/// Stored numbers to floats; what is beyond `len` of the last vector becomes 0.
#[inline(always)]
fn convert<A: Isa, E: Element>(isa: A, from: &[E], len: usize, to: &mut [f32]) {
    for (from, to) in from[..len].chunks(LANES).zip(to.chunks_exact_mut(LANES)) {
        let mut x = [E::ZERO; LANES];
        if let Ok(whole) = from.try_into() {
            x = whole;
        } else {
            x[..from.len()].copy_from_slice(from);
        }
        E::to_floats(isa, x).copy_to_slice(to);
    }
}

/// Numbers of the lanes.
const PLACES: F = F::from_array([
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
]);

/// Caps a row's scores, and lessens them by the distance to their positions.
#[inline(always)]
fn adjust<A: Isa>(isa: A, rows: &Rows, row: usize, position: usize, scores: &mut [f32]) {
    if let Some(cap) = rows.softcap {
        for x in scores.chunks_exact_mut(LANES) {
            (F::splat(cap) * tanh(isa, F::from_slice(x) / F::splat(cap))).copy_to_slice(x);
        }
    }
    if let Some(slopes) = rows.slopes {
        let slope = F::splat(-slopes[row % rows.group]);
        // Distances are whole numbers, exact up to 2^24.
        let mut distance = PLACES + F::splat(position as f32 - rows.position(row) as f32);
        for x in scores.chunks_exact_mut(LANES) {
            isa.fma(slope, distance.abs(), F::from_slice(x)).copy_to_slice(x);
            distance += F::splat(LANES as f32);
        }
    }
}

/// Scores become weights `e^(score - max)`, 0 where not visible; returns what older sums are to be
/// multiplied with, which it has done for `sum`.
#[inline(always)]
fn soften<A: Isa>(
    isa: A,
    scores: &mut [f32],
    visible: std::ops::Range<usize>,
    max: &mut f32,
    sum: &mut f32,
) -> f32 {
    if visible.is_empty() {
        scores.fill(0.0);
        return 1.0;
    }
    let lanes = i32x16::from_array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    let (start, end) = (visible.start as i32, visible.end as i32);
    let mut largest = F::splat(f32::NEG_INFINITY);
    for (i, x) in scores.chunks_exact_mut(LANES).enumerate() {
        let place = lanes + Simd::splat((i * LANES) as i32);
        let seen = place.simd_ge(Simd::splat(start)) & place.simd_lt(Simd::splat(end));
        let masked = seen.select(F::from_slice(x), F::splat(f32::NEG_INFINITY));
        largest = largest.simd_max(masked);
        masked.copy_to_slice(x);
    }
    let new = largest.to_array().into_iter().fold(*max, f32::max);
    if new == f32::NEG_INFINITY {
        scores.fill(0.0);
        return 1.0;
    }
    let mut sums = F::splat(0.0);
    for x in scores.chunks_exact_mut(LANES) {
        let weight = exp(isa, F::from_slice(x) - F::splat(new));
        sums += weight;
        weight.copy_to_slice(x);
    }
    let factor = exp(isa, F::splat(*max - new))[0];
    *sum = *sum * factor + add_lanes(sums);
    *max = new;
    factor
}

/// Row-major matrices: `a` is rows × `k`, `b` is `k` × `b_width`.
#[derive(Clone, Copy)]
struct Product<'a> {
    a: &'a [f32],
    a_width: usize,
    b: &'a [f32],
    b_width: usize,
    k: usize,
}

/// `c += a b`, `c` being rows × `b_width`, and that a multiple of 16.
#[inline(always)]
fn product<A: Isa>(isa: A, p: Product, c: &mut [f32]) {
    let rows = c.len() / p.b_width;
    assert!(p.a.len() >= rows * p.a_width && p.k <= p.a_width && p.b.len() >= p.k * p.b_width);
    let mut column = 0;
    while column < p.b_width {
        let left = (p.b_width - column) / LANES;
        column += LANES
            * match A::FLOAT_VECTORS {
                4 if left >= 4 => strip::<A, 4>(isa, p, c, rows, column),
                4 if left >= 2 => strip::<A, 2>(isa, p, c, rows, column),
                _ => strip::<A, 1>(isa, p, c, rows, column),
            };
    }
}

/// `V` vectors of columns of all rows; returns `V`.
#[inline(always)]
fn strip<A: Isa, const V: usize>(
    isa: A,
    p: Product,
    c: &mut [f32],
    rows: usize,
    column: usize,
) -> usize {
    let mut row = 0;
    while row < rows {
        // SAFETY: `product` has checked the sizes; rows and columns are inside.
        unsafe {
            row += match rows - row {
                6.. => block::<A, 6, V>(isa, p, c, row, column),
                4.. => block::<A, 4, V>(isa, p, c, row, column),
                2.. => block::<A, 2, V>(isa, p, c, row, column),
                _ => block::<A, 1, V>(isa, p, c, row, column),
            };
        }
    }
    V
}

/// `R` rows × `V` vectors; returns `R`.
///
/// # Safety
/// Rows `row..row + R` and columns `column..column + 16 * V` exist in the matrices of `p` and in `c`.
#[inline(always)]
unsafe fn block<A: Isa, const R: usize, const V: usize>(
    isa: A,
    p: Product,
    c: &mut [f32],
    row: usize,
    column: usize,
) -> usize {
    // SAFETY: the caller's condition.
    unsafe {
        let c = c.as_mut_ptr().add(row * p.b_width + column);
        let place = |r: usize, v: usize| c.add(r * p.b_width + v * LANES).cast::<F>();
        let mut sums = [[F::splat(0.0); V]; R];
        for r in 0..R {
            for v in 0..V {
                sums[r][v] = place(r, v).read_unaligned();
            }
        }
        let a = p.a.as_ptr().add(row * p.a_width);
        let b = p.b.as_ptr().add(column);
        for i in 0..p.k {
            let mut vectors = [F::splat(0.0); V];
            for v in 0..V {
                vectors[v] = b.add(i * p.b_width + v * LANES).cast::<F>().read_unaligned();
            }
            for r in 0..R {
                let a = F::splat(*a.add(r * p.a_width + i));
                for v in 0..V {
                    sums[r][v] = isa.fma(a, vectors[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                place(r, v).write_unaligned(sums[r][v]);
            }
        }
    }
    R
}
