//! Products with a matrix of few inputs, added to what is there: the second half of a low-rank adapter.
//!
//! The matrix is stored in panels of 16 outputs, `[inputs][16]`, so that lanes run along the outputs and no sum goes
//! across them. Some panels that stay in the first-level cache are made floats once for some columns. Each output's
//! products are added up in the order of the inputs, then to the output, whatever else is computed.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::matmul::Matrix;
use crate::quant::Float;
use crate::raw::RawMut;
use crate::team::Team;

/// Panels in a thread's unit of work.
const CHUNK: usize = 16;
/// Columns that share it.
const COLUMNS: usize = 32;
/// Units of a single column that are worth another thread.
const GRAIN: usize = 8;
/// Columns in a tile.
const WIDTH: usize = 4;

/// Columns, a matrix and what its products with them are added to.
pub struct Thin<'a> {
    /// `[n][inputs]`
    pub x: &'a [f32],
    /// Floats, a row for each panel: the outputs are filled up to whole ones.
    pub w: Matrix<'a>,
    /// Those of its outputs that count.
    pub outputs: Range<usize>,
    /// What the products are multiplied by.
    pub factor: f32,
    /// `[rows][outputs that count]`
    pub out: &'a mut [f32],
}

/// Adds products to rows of outputs: those of column `i` to the row `places[i].0`, `places[i].1` times the factor.
///
/// # Panics
/// Sizes do not agree, a row or an output is not there or comes twice, or weights are not floats.
pub fn add_thin(team: &Team, places: &[(usize, f32)], jobs: &mut [Thin]) {
    let rising = places.windows(2).all(|pair| pair[0].0 < pair[1].0);
    assert!(rising, "rows that do not rise");
    let n = places.len();
    let parts = n.div_ceil(COLUMNS);
    let mut end = 0;
    let jobs: Vec<_> = jobs
        .iter_mut()
        .map(|Thin { x, w, outputs, factor, out }| {
            let width = outputs.len();
            assert_eq!(x.len() * LANES, n * w.k(), "{n} columns and panels of {}", w.k());
            assert!(outputs.end <= w.rows() * LANES, "{outputs:?} of {} panels", w.rows());
            let rows = out.len() / width.max(1);
            assert!(places.last().is_none_or(|last| last.0 < rows), "{rows} rows");
            let add = w.quant().add_thin.unwrap_or_else(|| panic!("{} weights", w.quant().name));
            let panels = outputs.start / LANES..outputs.end.div_ceil(LANES);
            let (start, chunks) = (end, panels.len().div_ceil(CHUNK));
            end += parts * chunks;
            let (outputs, factor, out) = (outputs.clone(), *factor, RawMut::new(out));
            let job = Job { x, w: *w, panels, outputs, factor, out };
            (start..end, chunks, add, job)
        })
        .collect();
    let grain = if n == 1 { GRAIN } else { 1 };
    team.for_each(end, grain, &|range| {
        for unit in range {
            let (units, chunks, add, job) =
                &jobs[jobs.partition_point(|(units, ..)| units.end <= unit)];
            let (part, chunk) = ((unit - units.start) / chunks, (unit - units.start) % chunks);
            let columns = n * part / parts..n * (part + 1) / parts;
            let first = job.panels.start + chunk * CHUNK;
            let panels = first..(first + CHUNK).min(job.panels.end);
            add(Share { job, places, columns, panels });
        }
    });
}

struct Job<'a> {
    x: &'a [f32],
    w: Matrix<'a>,
    /// Those with outputs that count.
    panels: Range<usize>,
    outputs: Range<usize>,
    factor: f32,
    out: RawMut<f32>,
}

/// One thread's part: some columns and some panels.
pub struct Share<'a> {
    job: &'a Job<'a>,
    places: &'a [(usize, f32)],
    columns: Range<usize>,
    panels: Range<usize>,
}

/// Computes a share.
pub fn add_share<T: Float>(share: Share) {
    dispatch(Run::<T>(share, PhantomData));
}

struct Run<'a, T>(Share<'a>, PhantomData<T>);

thread_local! {
    static SCRATCH: Cell<Vec<F>> = const { Cell::new(Vec::new()) };
}

impl<T: Float> Kernel for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let share = self.0;
        // Not in a closure, which would not take on the features of the entry.
        let mut weights = SCRATCH.take();
        share.convert::<T, A>(isa, &mut weights);
        let tall = if A::FLOAT_VECTORS == 4 { 4 } else { 2 };
        let mut column = share.columns.start;
        while column < share.columns.end {
            let wide = share.columns.end - column >= WIDTH;
            let mut panel = 0;
            while panel < share.panels.len() {
                let high = share.panels.len() - panel >= tall;
                let at = (column, panel);
                match (tall, high, wide) {
                    (4, true, true) => share.tile::<A, 4, WIDTH>(isa, &weights, at),
                    (4, true, false) => share.tile::<A, 4, 1>(isa, &weights, at),
                    (_, true, true) => share.tile::<A, 2, WIDTH>(isa, &weights, at),
                    (_, true, false) => share.tile::<A, 2, 1>(isa, &weights, at),
                    (_, false, true) => share.tile::<A, 1, WIDTH>(isa, &weights, at),
                    (_, false, false) => share.tile::<A, 1, 1>(isa, &weights, at),
                }
                panel += if high { tall } else { 1 };
            }
            column += if wide { WIDTH } else { 1 };
        }
        SCRATCH.set(weights);
    }
}

impl Share<'_> {
    /// The weights of its panels as floats.
    #[inline(always)]
    fn convert<T: Float, A: Isa>(&self, isa: A, weights: &mut Vec<F>) {
        let w = self.job.w;
        let panel = w.k() * T::BYTES;
        let bytes = &w.data()[self.panels.start * panel..self.panels.end * panel];
        let vectors = bytes.chunks_exact(LANES * T::BYTES);
        weights.resize(vectors.len(), F::splat(0.0));
        for (weights, bytes) in weights.iter_mut().zip(vectors) {
            // SAFETY: there are 16 weights.
            *weights = unsafe { T::load(isa, bytes.as_ptr()) };
        }
    }

    /// `R` panels from the share's `panel` on, `N` columns.
    #[inline(always)]
    fn tile<A: Isa, const R: usize, const N: usize>(
        &self,
        isa: A,
        weights: &[F],
        (column, panel): (usize, usize),
    ) {
        let Job { x, w, outputs, factor, out, .. } = self.job;
        let inputs = w.k() / LANES;
        let x = &x[column * inputs..][..N * inputs];
        let weights = &weights[panel * inputs..][..R * inputs];
        let mut sums = [[F::splat(0.0); R]; N];
        for input in 0..inputs {
            for c in 0..N {
                let x = F::splat(x[c * inputs + input]);
                for r in 0..R {
                    sums[c][r] = isa.fma(weights[r * inputs + input], x, sums[c][r]);
                }
            }
        }
        for c in 0..N {
            let (row, times) = self.places[column + c];
            let factor = F::splat(times * factor);
            for r in 0..R {
                let first = (self.panels.start + panel + r) * LANES;
                let (from, to) = (first.max(outputs.start), (first + LANES).min(outputs.end));
                let at = row * outputs.len() + from - outputs.start;
                // SAFETY: the row and its outputs are there, and this share's alone.
                let out = unsafe { out.slice(at, to - from) };
                if to - from == LANES {
                    let sum = isa.fma(sums[c][r], factor, F::from_slice(out));
                    sum.copy_to_slice(out);
                } else {
                    let mut lanes = [0.0; LANES];
                    lanes[from - first..to - first].copy_from_slice(out);
                    let sum = isa.fma(sums[c][r], factor, F::from_array(lanes));
                    out.copy_from_slice(&sum.as_array()[from - first..to - first]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::QUANTS;
    use crate::testing::{noise, weights};

    #[test]
    fn products_are_added_to_their_rows() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        let floats = QUANTS.iter().filter(|quant| !quant.int8());
        for (i, quant) in floats.enumerate() {
            for (n, inputs, rows) in [(1, 1, 1), (2, 16, 9), (70, 8, 70), (5, 40, 6)] {
                let x = noise(n * inputs, 1);
                let places: Vec<(usize, f32)> =
                    (0..n).map(|i| (i + rows - n, 0.5 + (i % 3) as f32)).collect();
                // The second is a part of a wider one.
                let k = 300 + i;
                let panels = k.div_ceil(LANES);
                let data = weights(quant, panels, inputs * LANES);
                let w = Matrix::new(quant, &data, panels, inputs * LANES).unwrap();
                let mut weights = vec![0.0; panels * inputs * LANES];
                quant.dequantize(&data, &mut weights);
                let weight = |input: usize, output: usize| {
                    weights[(output / LANES * inputs + input) * LANES + output % LANES]
                };
                let parts = [0..k, 37..37 + 64];
                let before = parts.clone().map(|part| noise(rows * part.len(), 2));
                let mut outs = before.clone();
                let jobs = outs.iter_mut().zip(parts.clone());
                let jobs = jobs.map(|(out, outputs)| Thin { x: &x, w, outputs, factor: 2.0, out });
                add_thin(&team, &places, &mut jobs.collect::<Vec<_>>());
                // With the sum of sizes, of which rounding is a part.
                let start = |&x: &f32| (f64::from(x), f64::from(x).abs());
                let mut expected: Vec<Vec<(f64, f64)>> =
                    before.iter().map(|out| out.iter().map(start).collect()).collect();
                for input in 0..inputs {
                    for (i, &(place, factor)) in places.iter().enumerate() {
                        let x = f64::from(x[i * inputs + input]) * f64::from(factor) * 2.0;
                        for (part, expected) in parts.iter().zip(&mut expected) {
                            let out = &mut expected[place * part.len()..][..part.len()];
                            for ((sum, size), output) in out.iter_mut().zip(part.clone()) {
                                let term = x * f64::from(weight(input, output));
                                *sum += term;
                                *size += term.abs();
                            }
                        }
                    }
                }
                for (out, (sum, size)) in outs.iter().flatten().zip(expected.iter().flatten()) {
                    assert!((f64::from(*out) - sum).abs() <= 2e-6 * size, "{out} for {sum}");
                }
                // A column alone gives the same.
                let (last, mut alone) = (n - 1, before[0].clone());
                let (x, out) = (&x[last * inputs..], &mut alone[..]);
                let thin = Thin { x, w, outputs: 0..k, factor: 2.0, out };
                add_thin(&team, &places[last..], &mut [thin]);
                let row = (rows - 1) * k;
                assert_eq!(alone[row..], outs[0][row..]);
            }
        }
    }
}
