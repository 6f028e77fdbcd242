//! Which positions a query sees.

use std::ops::Range;

/// What a query at position `t` sees of its sequence, of which it always is a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mask {
    /// All positions up to `t`.
    #[default]
    Causal,
    /// The last so many positions up to `t`, that one included.
    Window(usize),
    /// Those up to `t` that are in the same chunk of so many positions, the first chunk beginning at 0.
    Chunk(usize),
    /// All positions, later ones too, which must have been written.
    Full,
    /// Those at most so far away in either direction, which must have been written.
    Around(usize),
}

impl Mask {
    /// The positions that are seen from `t`, the sequence having positions `0..end`.
    #[inline(always)]
    pub fn visible(self, t: usize, end: usize) -> Range<usize> {
        match self {
            Mask::Causal => 0..t + 1,
            Mask::Window(n) => (t + 1).saturating_sub(n)..t + 1,
            Mask::Chunk(n) => t / n.max(1) * n.max(1)..t + 1,
            Mask::Full => 0..end,
            Mask::Around(n) => t.saturating_sub(n)..end.min(t.saturating_add(n).saturating_add(1)),
        }
    }
}
