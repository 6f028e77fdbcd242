//! What the rows of a task are.

use std::f32::consts::LOG2_E;
use std::ops::Range;
use std::simd::Select;
use std::simd::prelude::*;

use super::{Mask, distances};
use crate::isa::{F, Isa, LANES};
use crate::kv::PAGE;
use crate::math::tanh;

/// `group` heads of each of some consecutive tokens.
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
    /// The same.
    pub distances: Option<distances::Part<'a>>,
}

/// A page's scores of one row.
pub type Scores = [F; PAGE / LANES];

/// Numbers of the lanes.
const PLACES: F = F::from_array([
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
]);

impl Rows<'_> {
    #[inline(always)]
    fn position(&self, row: usize) -> usize {
        self.first + row / self.group
    }

    /// The positions that a row sees; they begin and end later in later rows.
    #[inline(always)]
    pub fn visible(&self, row: usize) -> Range<usize> {
        self.mask.visible(self.position(row), self.end)
    }

    /// What some of the rows see of the page that begins at `start`, counted from there.
    #[inline(always)]
    pub fn visible_in(&self, rows: Range<usize>, start: usize) -> Range<usize> {
        let first = self.visible(rows.start).start.saturating_sub(start).min(PAGE);
        first..self.visible(rows.end - 1).end.saturating_sub(start).min(PAGE)
    }

    /// What queries are to be multiplied with so that their scores are of base 2, unless a cap comes
    /// first.
    pub fn unit(&self) -> f32 {
        if self.softcap.is_some() { 1.0 } else { LOG2_E }
    }

    /// Whether [`Rows::adjust`] does anything.
    #[inline(always)]
    pub fn adjusts(&self) -> bool {
        self.softcap.is_some() || self.slopes.is_some() || self.distances.is_some()
    }

    /// Caps a row's scores for the page that begins at `start`, and changes them by the distance.
    #[inline(always)]
    pub fn adjust<A: Isa>(&self, isa: A, row: usize, start: usize, scores: &mut Scores) {
        if let Some(cap) = self.softcap {
            for x in &mut *scores {
                *x = F::splat(cap * LOG2_E) * tanh(isa, *x / F::splat(cap));
            }
        }
        if let Some(slopes) = self.slopes {
            let slope = F::splat(-slopes[row % self.group] * LOG2_E);
            // Distances are whole numbers, exact up to 2^24.
            let mut distance = PLACES + F::splat(start as f32 - self.position(row) as f32);
            for x in &mut *scores {
                *x = isa.fma(slope, distance.abs(), *x);
                distance += F::splat(LANES as f32);
            }
        }
        if let Some(distances) = self.distances {
            let numbers = distances.of(row % self.group, self.position(row), start);
            for (x, numbers) in scores.iter_mut().zip(numbers.as_chunks::<LANES>().0) {
                *x = isa.fma(F::splat(LOG2_E), F::from_array(*numbers), *x);
            }
        }
    }
}

/// Scores outside of `visible` become minus infinity.
#[inline(always)]
pub fn hide(scores: &mut Scores, visible: &Range<usize>) {
    let places = PLACES.cast::<i32>();
    for (i, x) in scores.iter_mut().enumerate() {
        let place = places + i32x16::splat((i * LANES) as i32);
        let seen = place.simd_ge(Simd::splat(visible.start as i32))
            & place.simd_lt(Simd::splat(visible.end as i32));
        *x = seen.select(*x, F::splat(f32::NEG_INFINITY));
    }
}
