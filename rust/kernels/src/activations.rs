//! The vectors that weights are multiplied with: floats, and int8 in groups of 32.

use std::simd::Select;
use std::simd::prelude::*;

use crate::few::MOST;
use crate::isa::{F, Isa, Kernel, dispatch};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Weights and activations are scaled by groups of this length.
pub const GROUP: usize = 32;

/// 32 activations in int8: value `i` is `scale * q[i]`. The value farthest from 0 becomes -128 or -127,
/// whichever leaves the smaller squared error (a tenth less on average than always ±127, as in
/// ggml's Q8_0), so that a scale may be negative.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Group {
    pub q: [i8; GROUP],
    pub scale: f32,
    /// The scale times the sum of `q`.
    pub scaled_sum: f32,
    /// Minus the sum of `q`.
    pub minus_sum: i32,
    /// Minus the sum of the first 16.
    pub minus_sum_16: i32,
}

/// Up to how many columns have their groups side by side, so that from one to the next it is a constant.
const SIDE_BY_SIDE: usize = 2 * MOST;

/// `n` columns of length `k`.
#[derive(Default)]
pub struct Activations {
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) floats: Vec<f32>,
    /// `[n][k / 32]`, or `[k / 32][n]` where columns are few, and [`MOST`] that have no meaning.
    groups: Vec<Group>,
    /// `[n][k]` in bfloat16, the last `k % 32` of a column left out.
    halves: Vec<u16>,
    quantized: bool,
    rounded: bool,
}

/// How far groups are apart: those of the same place in neighbouring columns, and neighbours in a column.
#[derive(Clone, Copy)]
pub(crate) struct Strides {
    pub column: usize,
    pub group: usize,
}

impl Activations {
    /// Takes `n` columns of length `k`, to be written to what this returns, `[n][k]`.
    pub fn reset(&mut self, n: usize, k: usize) -> &mut [f32] {
        (self.n, self.k) = (n, k);
        (self.quantized, self.rounded) = (false, false);
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
        (self.quantized, self.rounded) = (false, false);
        &mut self.floats[..self.n * self.k]
    }

    /// Leaves some columns, in ascending order.
    ///
    /// # Panics
    /// There is no such column.
    pub fn keep(&mut self, columns: &[usize]) {
        for (to, &from) in columns.iter().enumerate() {
            self.floats.copy_within(from * self.k..(from + 1) * self.k, to * self.k);
        }
        self.n = columns.len();
        (self.quantized, self.rounded) = (false, false);
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
        let _part = team.part(Part::Quantize);
        let (n, k) = (self.n, self.k);
        let strides = self.strides();
        let groups = RawMut::new(self.room());
        let floats = &self.floats[..n * k];
        team.for_each(n, (1 << 15) / k.max(1) + 1, &|columns| {
            for column in columns {
                let floats = &floats[column * k..(column + 1) * k];
                dispatch(Quantize { floats, groups, first: column * strides.column, strides });
            }
        });
    }

    /// Rounds the columns to bfloat16 unless that was done.
    pub(crate) fn round(&mut self, team: &Team) {
        if self.rounded {
            return;
        }
        let _part = team.part(Part::Quantize);
        let (n, k) = (self.n, self.k);
        let halves = RawMut::new(self.room_for_halves());
        let floats = &self.floats[..n * k];
        team.for_each(n, (1 << 16) / k.max(1) + 1, &|columns| {
            for column in columns {
                // SAFETY: every column belongs to one caller.
                let halves = unsafe { halves.slice(column * k, k) };
                dispatch(Round { floats: &floats[column * k..(column + 1) * k], halves });
            }
        });
    }

    /// The same on this thread.
    pub(crate) fn round_alone(&mut self) {
        let k = self.k.max(1);
        self.room_for_halves();
        for (x, halves) in
            self.floats.chunks_exact(k).zip(self.halves.chunks_exact_mut(k)).take(self.n)
        {
            dispatch(Round { floats: x, halves });
        }
    }

    fn room_for_halves(&mut self) -> &mut [u16] {
        self.rounded = true;
        let len = self.n * self.k;
        if self.halves.len() < len {
            self.halves.resize(len, 0);
        }
        &mut self.halves[..len]
    }

    /// The columns in bfloat16, see the field.
    ///
    /// # Panics
    /// They are not rounded.
    pub(crate) fn halves(&self) -> &[u16] {
        assert!(self.rounded, "columns that are not rounded");
        &self.halves[..self.n * self.k]
    }

    /// Takes the quantized columns of `floats`, `[n][k]`, without their floats.
    ///
    /// # Panics
    /// `k` is no multiple of 32, or `floats` has another length.
    pub(crate) fn quantize_from(&mut self, n: usize, k: usize, floats: &[f32]) {
        assert!(k.is_multiple_of(GROUP), "columns of {k} do not make groups of 32");
        assert_eq!(floats.len(), n * k);
        (self.n, self.k, self.quantized) = (n, k, true);
        let strides = self.strides();
        let groups = RawMut::new(self.room());
        for (column, floats) in floats.chunks_exact(k.max(1)).enumerate() {
            dispatch(Quantize { floats, groups, first: column * strides.column, strides });
        }
    }

    /// Takes some columns of others, as they were quantized, without their floats.
    ///
    /// # Panics
    /// The others are not quantized, or there is no such column.
    pub(crate) fn copy_quantized(&mut self, from: &Activations, picks: &[u32]) {
        let (n, k) = (picks.len(), from.k);
        assert!(from.quantized && picks.iter().all(|&c| (c as usize) < from.n));
        (self.n, self.k, self.quantized) = (n, k, true);
        let (theirs, ours) = (from.strides(), self.strides());
        let room = self.room();
        for (to, &c) in picks.iter().enumerate() {
            let first = c as usize * theirs.column;
            for i in 0..k / GROUP {
                room[to * ours.column + i * ours.group] = from.groups[first + i * theirs.group];
            }
        }
    }

    /// Room for the quantized columns.
    fn room(&mut self) -> &mut [Group] {
        let len = self.n * (self.k / GROUP) + MOST;
        if self.groups.len() < len {
            self.groups.resize(len, Group::default());
        }
        &mut self.groups[..len]
    }

    /// Where quantized columns are.
    pub(crate) fn strides(&self) -> Strides {
        if self.n <= SIDE_BY_SIDE {
            Strides { column: 1, group: self.n }
        } else {
            Strides { column: self.k / GROUP, group: 1 }
        }
    }

    /// The quantized columns from `column` on and from their group `group` on; there are [`MOST`] columns
    /// in any case.
    ///
    /// # Panics
    /// There is no such column or group, or the columns are not quantized.
    pub(crate) fn groups(&self, column: usize, group: usize) -> &[Group] {
        assert!(self.quantized && column < self.n && group < self.k / GROUP);
        let strides = self.strides();
        &self.groups[column * strides.column + group * strides.group..]
    }
}

/// A column and where it goes in bfloat16.
struct Round<'a> {
    floats: &'a [f32],
    halves: &'a mut [u16],
}

impl Kernel for Round<'_> {
    type Output = ();
    const PAIRS: bool = true;

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        const EVEN: [usize; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
        const ODD: [usize; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
        for (x, halves) in self.floats.chunks_exact(32).zip(self.halves.chunks_exact_mut(32)) {
            let (low, high) = (F::from_slice(x), F::from_slice(&x[16..]));
            let (even, odd) = (simd_swizzle!(low, high, EVEN), simd_swizzle!(low, high, ODD));
            let pairs = isa.pairs(even, odd).to_array();
            for (to, pair) in halves.chunks_exact_mut(2).zip(pairs) {
                to.copy_from_slice(&[pair as u16, (pair >> 16) as u16]);
            }
        }
    }
}

/// A column and where its groups go, which belong to it alone.
struct Quantize<'a> {
    floats: &'a [f32],
    groups: RawMut<Group>,
    first: usize,
    strides: Strides,
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, _: A) {
        for (i, x) in self.floats.chunks_exact(GROUP).enumerate() {
            let x = [F::from_slice(x), F::from_slice(&x[16..])];
            let highest = fold_halves(larger(x[0], x[1]), larger(-x[0], -x[1]));
            let (most, least) = (low_half(highest), -high_half(highest));
            let far = most.simd_gt(-least).select(most, least);
            let none = F::splat(0.0);
            let inverse = far.simd_eq(none).select(none, F::splat(1.0) / far);
            let first = Rounded::new(x, far, inverse, -128.0);
            let second = Rounded::new(x, far, inverse, -127.0);
            let gain = sum_lanes(first.squares - second.squares);
            let better = gain.simd_gt(none);
            let q =
                [better.select(second.q[0], first.q[0]), better.select(second.q[1], first.q[1])];
            let scale = better.select(second.scale, first.scale)[0];
            let (first, all) = (q[0].reduce_sum(), (q[0] + q[1]).reduce_sum());
            let q: i8x32 = simd_swizzle!(q[0].cast::<i8>(), q[1].cast::<i8>(), {
                let mut at = [0; 32];
                let mut i = 0;
                while i < 32 {
                    at[i] = i;
                    i += 1;
                }
                at
            });
            let group = Group {
                q: q.to_array(),
                scale,
                scaled_sum: scale * all as f32,
                minus_sum: -all,
                minus_sum_16: -first,
            };
            // SAFETY: a column's groups are in the room and written by one caller.
            unsafe { self.groups.write(self.first + i * self.strides.group, group) };
        }
    }
}

/// A group in integers.
struct Rounded {
    scale: F,
    q: [i32x16; 2],
    /// The squared differences, in two halves.
    squares: F,
}

impl Rounded {
    /// With a scale by which `far`, the farthest value, becomes `to`.
    #[inline(always)]
    fn new(x: [F; 2], far: F, inverse: F, to: f32) -> Rounded {
        let (scale, inverse) = (far * F::splat(1.0 / to), inverse * F::splat(to));
        // Only a value opposite to the farthest can round to 128.
        let most = Simd::splat(127);
        let q = [round(x[0] * inverse).simd_min(most), round(x[1] * inverse).simd_min(most)];
        let differences = [x[0] - q[0].cast() * scale, x[1] - q[1].cast() * scale];
        let squares = differences[0] * differences[0] + differences[1] * differences[1];
        Rounded { scale, q, squares }
    }
}

/// To the nearest integer, ties to even, for |x| < 2^22: adding 1.5 · 2^23 leaves the integer in the
/// low bits of the mantissa.
#[inline(always)]
fn round(x: F) -> i32x16 {
    let magic = F::splat(12_582_912.0);
    (x + magic).to_bits().cast::<i32>() - magic.to_bits().cast::<i32>()
}

// What follows keeps its results in all lanes: through a scalar they would become branches, which
// are mispredicted every other time.

/// The larger of each lane; a plain comparison, where `simd_max` would order NaN.
#[inline(always)]
fn larger(a: F, b: F) -> F {
    a.simd_gt(b).select(a, b)
}

/// The largest lane of `a` in lanes 0 to 7, that of `b` in lanes 8 to 15.
#[inline(always)]
fn fold_halves(a: F, b: F) -> F {
    let low = simd_swizzle!(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
    let high = simd_swizzle!(a, b, [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31]);
    let x = larger(low, high);
    let x = larger(x, simd_swizzle!(x, [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]));
    let x = larger(x, simd_swizzle!(x, [2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13]));
    larger(x, simd_swizzle!(x, [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14]))
}

#[inline(always)]
fn low_half(x: F) -> F {
    simd_swizzle!(x, [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7])
}

#[inline(always)]
fn high_half(x: F) -> F {
    simd_swizzle!(x, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15])
}

/// The sum of all lanes, in every lane.
#[inline(always)]
fn sum_lanes(x: F) -> F {
    let x = x + simd_swizzle!(x, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]);
    let x = x + simd_swizzle!(x, [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]);
    let x = x + simd_swizzle!(x, [2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13]);
    x + simd_swizzle!(x, [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14])
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
        for (i, x0) in data.chunks(GROUP).enumerate() {
            let group = &x.groups(i / (k / GROUP), i % (k / GROUP))[0];
            let zeros = [0.0; GROUP];
            let x = if i == 0 { &zeros } else { x0 };
            let scale = group.scale;
            for (&q, x) in group.q.iter().zip(x) {
                let error = (x - scale * f32::from(q)).abs();
                assert!(error <= 1.0001 * scale.abs(), "{error} {scale}");
                assert!(error <= 0.5001 * scale.abs() || q == 127);
            }
            let sum = |q: &[i8]| q.iter().map(|&q| i32::from(q)).sum::<i32>();
            assert_eq!(group.minus_sum, -sum(&group.q));
            assert_eq!(group.minus_sum_16, -sum(&group.q[..16]));
            assert_eq!(group.scaled_sum, scale * sum(&group.q) as f32);
        }
    }
}
