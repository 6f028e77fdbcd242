//! The vectors that weights are multiplied with: floats, and int8 in groups of 32.

use std::simd::prelude::*;

use crate::isa::{F, Isa, Kernel, dispatch};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

mod quantized;

pub use quantized::Span;
pub(crate) use quantized::{BLOCK, Group, Quantized};

/// `n` columns of length `k`.
#[derive(Default)]
pub struct Activations {
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) floats: Vec<f32>,
    /// By span, see [`Activations::int8`].
    int8: [Quantized; 2],
    /// `[n][k]` in bfloat16, the last `k % 32` of a column left out.
    halves: Vec<u16>,
    quantized: [bool; 2],
    rounded: bool,
}

impl Activations {
    /// Takes `n` columns of length `k`, to be written to what this returns, `[n][k]`.
    pub fn reset(&mut self, n: usize, k: usize) -> &mut [f32] {
        (self.n, self.k) = (n, k);
        (self.quantized, self.rounded) = ([false; 2], false);
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
        (self.quantized, self.rounded) = ([false; 2], false);
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
        (self.quantized, self.rounded) = ([false; 2], false);
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
    /// `k` is no multiple of the span.
    pub(crate) fn quantize(&mut self, team: &Team, span: Span) {
        if std::mem::replace(&mut self.quantized[span as usize], true) {
            return;
        }
        let _part = team.part(Part::Quantize);
        let floats = &self.floats[..self.n * self.k];
        self.int8[span as usize].take(team, span, self.n, self.k, floats);
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
    /// `k` is no multiple of the span, or `floats` has another length.
    pub(crate) fn quantize_from(&mut self, span: Span, n: usize, k: usize, floats: &[f32]) {
        assert_eq!(floats.len(), n * k);
        (self.n, self.k, self.quantized[span as usize]) = (n, k, true);
        self.int8[span as usize].take_alone(span, n, k, floats);
    }

    /// Takes some columns of others, as they were quantized, without their floats.
    ///
    /// # Panics
    /// The others are not quantized, or there is no such column.
    pub(crate) fn copy_quantized(&mut self, span: Span, from: &Activations, picks: &[u32]) {
        (self.n, self.k, self.quantized[span as usize]) = (picks.len(), from.k, true);
        self.int8[span as usize].pick(from.int8(span), picks);
    }

    /// The columns as they were quantized with such a span.
    ///
    /// # Panics
    /// They are not.
    pub(crate) fn int8(&self, span: Span) -> &Quantized {
        assert!(self.quantized[span as usize], "columns that are not quantized");
        &self.int8[span as usize]
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

#[cfg(test)]
mod tests {
    use super::quantized::GROUP;
    use super::*;
    use crate::testing::noise;

    #[test]
    fn quantized_values_are_near_and_sums_agree() {
        let team = Team::new(2).unwrap();
        for (span, n) in [(Span::Of32, 5), (Span::Of64, 5), (Span::Of64, 53)] {
            let k = 9 * 64;
            let mut x = Activations::default();
            let mut data = noise(n * k, 7);
            data[..span.values()].fill(0.0);
            x.reset(n, k).copy_from_slice(&data);
            x.quantize(&team, span);
            for (i, x0) in data.chunks(GROUP).enumerate() {
                let group = &x.int8(span).groups(i / (k / GROUP), i % (k / GROUP)).0[0];
                let scale = group.scale;
                for (&q, x) in group.q.iter().zip(x0) {
                    let error = (x - scale * f32::from(q)).abs();
                    assert!(error <= 1.0001 * scale.abs(), "{error} {scale}");
                    assert!(error <= 0.5001 * scale.abs() || q == 127);
                }
                let sum = |q: &[i8]| q.iter().map(|&q| i32::from(q)).sum::<i32>();
                let factor = if span == Span::Of32 { scale } else { 1.0 };
                let (all, halves) = (sum(&group.q), [sum(&group.q[..16]), sum(&group.q[16..])]);
                assert_eq!((group.start, group.start_wide), (-64 * all, -128 * all));
                assert_eq!(group.starts, halves.map(|half| -64 * half));
                assert_eq!(group.sum, factor * all as f32);
                assert_eq!(group.sums, halves.map(|half| factor * half as f32));
            }
        }
    }

    #[test]
    fn the_largest_value_uses_the_whole_range() {
        let team = Team::new(1).unwrap();
        let mut x = Activations::default();
        x.reset(1, 256).copy_from_slice(&noise(256, 9));
        x.floats_mut()[77] = 10.0;
        x.quantize(&team, Span::Of64);
        let (groups, _) = x.int8(Span::Of64).groups(0, 2);
        assert!(matches!(groups[0].q[13], -128 | -127));
        assert!(groups[..2].iter().all(|group| group.scale == groups[0].scale));
    }
}
