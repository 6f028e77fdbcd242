//! The vectors that weights are multiplied with: floats, and int8 in groups of 32.

use std::simd::prelude::*;

use crate::float::add_lanes;
use crate::isa::{F, Isa, Kernel, dispatch};
use crate::raw::RawMut;
use crate::team::Team;

/// Weights and activations are scaled by groups of this length.
pub const GROUP: usize = 32;

/// `n` columns of length `k`.
///
/// Quantized, column `c`'s value `i` is `scales[i / 32][c] * bytes[c][i]`. In each group the value
/// farthest from 0 becomes -128 or -127, whichever leaves the smaller squared error (a tenth less on
/// average than always ±127, as in ggml's Q8_0), so that a scale may be negative. The arrays by group
/// are `[group][column]`, as the tile reads them.
#[derive(Default)]
pub struct Activations {
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) floats: Vec<f32>,
    pub(crate) bytes: Vec<i8>,
    /// `[k / 32][n]`
    pub(crate) scales: Vec<f32>,
    /// `[k / 16][n]`, minus the sum of 16 bytes.
    pub(crate) minus_sums: Vec<i32>,
    /// `[k / 16][n]`, the scale times the sum of 16 bytes.
    pub(crate) scaled_sums: Vec<f32>,
    quantized: bool,
}

impl Activations {
    /// Takes `n` columns of length `k`, to be written to what this returns, `[n][k]`.
    pub fn reset(&mut self, n: usize, k: usize) -> &mut [f32] {
        (self.n, self.k, self.quantized) = (n, k, false);
        if self.floats.len() < n * k {
            self.floats.resize(n * k, 0.0);
        }
        &mut self.floats[..n * k]
    }

    /// The columns, `[n][k]`.
    pub fn floats(&self) -> &[f32] {
        &self.floats[..self.n * self.k]
    }

    /// The columns, to be changed; what was quantized before is void.
    pub fn floats_mut(&mut self) -> &mut [f32] {
        self.quantized = false;
        &mut self.floats[..self.n * self.k]
    }

    /// How many columns there are.
    pub fn n(&self) -> usize {
        self.n
    }

    /// How long each is.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Quantizes the columns unless that was done.
    ///
    /// # Panics
    /// `k` is no multiple of 32.
    pub fn quantize(&mut self, team: &Team) {
        if std::mem::replace(&mut self.quantized, true) {
            return;
        }
        assert!(self.k.is_multiple_of(GROUP), "columns of {} do not make groups of 32", self.k);
        let (n, k) = (self.n, self.k);
        let out = self.room(n, k);
        let floats = &self.floats[..n * k];
        team.for_each(n, (1 << 15) / k.max(1) + 1, &|columns| {
            dispatch(Quantize { columns, n, k, floats, out });
        });
    }

    /// Takes the quantized columns of `floats`, `[n][k]`, without their floats.
    ///
    /// # Panics
    /// `k` is no multiple of 32, or `floats` has another length.
    pub(crate) fn quantize_from(&mut self, n: usize, k: usize, floats: &[f32]) {
        assert!(k.is_multiple_of(GROUP), "columns of {k} do not make groups of 32");
        assert_eq!(floats.len(), n * k);
        (self.n, self.k, self.quantized) = (n, k, true);
        let out = self.room(n, k);
        dispatch(Quantize { columns: 0..n, n, k, floats, out });
    }

    /// Takes some columns of others, as they were quantized, without their floats.
    ///
    /// # Panics
    /// The others are not quantized, or there is no such column.
    pub(crate) fn copy_quantized(&mut self, from: &Activations, picks: &[u32]) {
        let (n, k) = (picks.len(), from.k);
        assert!(from.quantized && picks.iter().all(|&c| (c as usize) < from.n));
        (self.n, self.k, self.quantized) = (n, k, true);
        self.room(n, k);
        for (to, &c) in self.bytes.chunks_exact_mut(k.max(1)).zip(picks) {
            to.copy_from_slice(&from.bytes[c as usize * k..][..k]);
        }
        fn by_group<T: Copy>(
            to: &mut [T],
            from: &[T],
            n_from: usize,
            picks: &[u32],
            groups: usize,
        ) {
            let rows = to.chunks_exact_mut(picks.len().max(1)).zip(from.chunks_exact(n_from));
            for (to, from) in rows.take(groups) {
                to.iter_mut().zip(picks).for_each(|(to, &c)| *to = from[c as usize]);
            }
        }
        let groups = k / GROUP;
        by_group(&mut self.scales, &from.scales, from.n, picks, groups);
        by_group(&mut self.minus_sums, &from.minus_sums, from.n, picks, 2 * groups);
        by_group(&mut self.scaled_sums, &from.scaled_sums, from.n, picks, 2 * groups);
    }

    /// Room for `n` quantized columns of length `k`.
    fn room(&mut self, n: usize, k: usize) -> Out {
        let groups = k / GROUP;
        grow(&mut self.bytes, n * k);
        grow(&mut self.scales, n * groups);
        grow(&mut self.minus_sums, 2 * n * groups);
        grow(&mut self.scaled_sums, 2 * n * groups);
        Out {
            bytes: RawMut::new(&mut self.bytes),
            scales: RawMut::new(&mut self.scales),
            minus_sums: RawMut::new(&mut self.minus_sums),
            scaled_sums: RawMut::new(&mut self.scaled_sums),
        }
    }
}

fn grow<T: Copy + Default>(v: &mut Vec<T>, len: usize) {
    if v.len() < len {
        v.resize(len, T::default());
    }
}

struct Quantize<'a> {
    columns: std::ops::Range<usize>,
    n: usize,
    k: usize,
    floats: &'a [f32],
    out: Out,
}

/// Where quantized columns go.
#[derive(Clone, Copy)]
struct Out {
    bytes: RawMut<i8>,
    scales: RawMut<f32>,
    minus_sums: RawMut<i32>,
    scaled_sums: RawMut<f32>,
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, _: A) {
        for c in self.columns {
            for (g, x) in self.floats[c * self.k..][..self.k].chunks_exact(GROUP).enumerate() {
                let x = [F::from_slice(x), F::from_slice(&x[16..])];
                let max = reduce_max(x[0].simd_max(x[1]));
                let min = -reduce_max((-x[0]).simd_max(-x[1]));
                let far = if max > -min { max } else { min };
                let (first, second) = (round_by(x, far, -128.0), round_by(x, far, -127.0));
                let Rounded { scale, q, .. } =
                    if second.error < first.error { second } else { first };
                let at = g * self.n + c;
                // SAFETY: groups < k / 32 and c < n; each column belongs to one caller.
                unsafe { self.out.scales.write(at, scale) };
                for (h, q) in q.into_iter().enumerate() {
                    let sum = q.reduce_sum();
                    let at = (2 * g + h) * self.n + c;
                    let q = q.cast::<i8>();
                    // SAFETY: as above.
                    unsafe {
                        self.out.bytes.write_all(c * self.k + g * GROUP + h * 16, q.as_array());
                        self.out.minus_sums.write(at, -sum);
                        self.out.scaled_sums.write(at, scale * sum as f32);
                    }
                }
            }
        }
    }
}

/// A group in integers.
struct Rounded {
    scale: f32,
    q: [i32x16; 2],
    /// The sum of the squared differences.
    error: f32,
}

/// With a scale by which `far`, the group's farthest value, becomes `to`.
#[inline(always)]
fn round_by(x: [F; 2], far: f32, to: f32) -> Rounded {
    let scale = far / to;
    let inverse = F::splat(if far == 0.0 { 0.0 } else { to / far });
    // Only a value opposite to the farthest can round to 128.
    let most = Simd::splat(127);
    let q = [round(x[0] * inverse).simd_min(most), round(x[1] * inverse).simd_min(most)];
    let differences = [x[0] - q[0].cast() * F::splat(scale), x[1] - q[1].cast() * F::splat(scale)];
    let squares = differences[0] * differences[0] + differences[1] * differences[1];
    Rounded { scale, q, error: add_lanes(squares) }
}

/// To the nearest integer, ties to even, for |x| < 2^22: adding 1.5 · 2^23 leaves the integer in the
/// low bits of the mantissa.
#[inline(always)]
fn round(x: F) -> i32x16 {
    let magic = F::splat(12_582_912.0);
    (x + magic).to_bits().cast::<i32>() - magic.to_bits().cast::<i32>()
}

/// The largest lane; plain comparisons, where `reduce_max` would order NaN.
#[inline(always)]
fn reduce_max(x: F) -> f32 {
    let x: f32x8 = simd_swizzle!(x, [0, 1, 2, 3, 4, 5, 6, 7])
        .simd_max(simd_swizzle!(x, [8, 9, 10, 11, 12, 13, 14, 15]));
    let x: f32x4 = simd_swizzle!(x, [0, 1, 2, 3]).simd_max(simd_swizzle!(x, [4, 5, 6, 7]));
    let x = x.to_array();
    x[0].max(x[1]).max(x[2].max(x[3]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn quantized_values_are_near_and_sums_agree() {
        let team = Team::new(2).unwrap();
        let (n, k) = (5, 96);
        let mut x = Activations::default();
        let data = noise(n * k, 7);
        x.reset(n, k).copy_from_slice(&data);
        x.floats_mut()[..GROUP].fill(0.0);
        x.quantize(&team);
        for c in 0..n {
            for g in 0..k / GROUP {
                let scale = x.scales[g * n + c];
                for h in 0..2 {
                    let i = c * k + g * GROUP + 16 * h;
                    for j in i..i + 16 {
                        let error = (x.floats[j] - scale * f32::from(x.bytes[j])).abs();
                        assert!(error <= 1.0001 * scale.abs(), "{error} {scale}");
                        assert!(error <= 0.5001 * scale.abs() || x.bytes[j] == 127);
                    }
                    let sum: i32 = x.bytes[i..i + 16].iter().map(|&b| i32::from(b)).sum();
                    assert_eq!(x.minus_sums[(2 * g + h) * n + c], -sum);
                    assert_eq!(x.scaled_sums[(2 * g + h) * n + c], scale * sum as f32);
                }
            }
        }
    }
}
