//! What is added to scores by the distance between query and key.

use std::ops::Range;

use crate::kv::PAGE;

/// A number for each head and distance. Beyond some distance it is the same, in either direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Distances {
    heads: usize,
    reach: usize,
    /// For each head the numbers from far behind to far ahead, those at the ends once for each place
    /// of a page more, so that any page has its numbers side by side.
    numbers: Vec<f32>,
}

/// Those of some heads.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    reach: usize,
    numbers: &'a [f32],
}

/// Numbers of a head.
fn len(reach: usize) -> usize {
    2 * reach + 1 + 2 * PAGE
}

impl Distances {
    /// `number(head, p - t)` for keys at `p` and queries at `t`, as far as `reach` in either
    /// direction; beyond that they are those at `reach`.
    pub fn new(heads: usize, reach: usize, number: impl Fn(usize, isize) -> f32) -> Distances {
        let far = reach as isize;
        let places = (0..len(reach)).map(|i| (i as isize - PAGE as isize - far).clamp(-far, far));
        let places: Vec<isize> = places.collect();
        let numbers = (0..heads).flat_map(|h| places.iter().map(move |&d| (h, d)));
        Distances { heads, reach, numbers: numbers.map(|(h, d)| number(h, d)).collect() }
    }

    /// For how many heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    #[inline(always)]
    pub(super) fn of(&self, heads: Range<usize>) -> Part<'_> {
        let len = len(self.reach);
        Part { reach: self.reach, numbers: &self.numbers[heads.start * len..heads.end * len] }
    }
}

impl Part<'_> {
    /// The numbers of the page that begins at `start`, for a query at `position`.
    #[inline(always)]
    pub fn of(&self, head: usize, position: usize, start: usize) -> &[f32] {
        // Whole pages beyond the reach are all alike.
        let ahead = (start + self.reach + PAGE).saturating_sub(position);
        let at = head * len(self.reach) + ahead.min(2 * self.reach + PAGE);
        &self.numbers[at..at + PAGE]
    }
}
