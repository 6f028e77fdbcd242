//! Columns in int8, in groups of 32 values with a scale, in the order in which tiles read them.

use std::ops::Range;
use std::simd::Select;
use std::simd::prelude::*;

use crate::few::MOST;
use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::raw::RawMut;
use crate::team::Team;

/// Activations stand in groups of this length.
pub const GROUP: usize = 32;

/// How many activations share a scale. With 64 the error is 0.8 of that with 256, which ggml has for
/// K-quants, and with 32 it is 0.7; of Q6_K's 144 instructions for 32 weights 64 save 18, 256 would save 22.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A group.
    Of32,
    /// Two groups.
    Of64,
}

impl Span {
    /// How many activations these are.
    pub const fn values(self) -> usize {
        match self {
            Span::Of32 => GROUP,
            Span::Of64 => 2 * GROUP,
        }
    }
}

/// 32 activations in int8: value `i` is `scale * q[i]`. The span's value farthest from 0 becomes -128 or
/// -127, whichever leaves the smaller squared error (a tenth less on average than always ±127, as in
/// ggml's Q8_0), so that a scale may be negative.
///
/// What follows from them is kept in memory, from where it is broadcast at no cost.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Group {
    pub q: [i8; GROUP],
    pub scale: f32,
    /// What minima of weights are multiplied with: the sum of `q`, and in a span of 32 the scale's product
    /// with it; in a span of 64 the scale comes later.
    pub sum: f32,
    /// The same for the first and the last 16.
    pub sums: [f32; 2],
    /// Where integer sums start, -64 times the sum of `q`: the bytes of narrow weights are 64 too large.
    pub start: i32,
    /// The same for wide weights, which are 128 too large.
    pub start_wide: i32,
    /// `start` for the first and the last 16.
    pub starts: [i32; 2],
}
const _: () = assert!(size_of::<Group>() == 64);

/// Columns that stand side by side, a multiple of the tiles' widths.
pub(crate) const BLOCK: usize = 24;
/// Groups of a block of columns that are one unit of quantizing.
const UNIT: usize = 16;

/// `n` columns of length `k`, block of columns after block: `[k / 32][columns of the block]`.
#[derive(Default)]
pub(crate) struct Quantized {
    n: usize,
    k: usize,
    /// The groups, and [`MOST`] that have no meaning, so that there are as many columns in any case.
    groups: Vec<Group>,
}

impl Quantized {
    /// Quantizes the columns `floats`, `[n][k]`, on all threads.
    ///
    /// # Panics
    /// `k` is no multiple of the span.
    pub fn take(&mut self, team: &Team, span: Span, n: usize, k: usize, floats: &[f32]) {
        let out = RawMut::new(self.room(span, n, k));
        let units = (k / GROUP).div_ceil(UNIT);
        let grain = (1 << 15) / (BLOCK.min(n) * UNIT * GROUP) + 1;
        team.for_each(n.div_ceil(BLOCK) * units, grain, &|range| {
            for unit in range {
                let (first, from) = (unit / units * BLOCK, unit % units * UNIT);
                let groups = from..(from + UNIT).min(k / GROUP);
                dispatch(Quantize { span, n, k, floats, out, first, groups });
            }
        });
    }

    /// The same on this thread.
    ///
    /// # Panics
    /// As above.
    pub fn take_alone(&mut self, span: Span, n: usize, k: usize, floats: &[f32]) {
        let out = RawMut::new(self.room(span, n, k));
        for first in (0..n).step_by(BLOCK) {
            dispatch(Quantize { span, n, k, floats, out, first, groups: 0..k / GROUP });
        }
    }

    /// Takes some columns of others.
    ///
    /// # Panics
    /// There is no such column.
    pub fn pick(&mut self, from: &Quantized, picks: &[u32]) {
        self.room(Span::Of32, picks.len(), from.k);
        for (to, &column) in picks.iter().enumerate() {
            assert!((column as usize) < from.n, "column {column} of {}", from.n);
            for i in 0..from.k / GROUP {
                let to = self.place(to, i);
                self.groups[to] = from.groups[from.place(column as usize, i)];
            }
        }
    }

    /// Room for such columns.
    fn room(&mut self, span: Span, n: usize, k: usize) -> &mut [Group] {
        assert!(
            k.is_multiple_of(span.values()),
            "columns of {k} do not make spans of {}",
            span.values()
        );
        (self.n, self.k) = (n, k);
        let len = n * (k / GROUP) + MOST;
        if self.groups.len() < len {
            self.groups.resize(len, Group::default());
        }
        &mut self.groups[..len]
    }

    fn place(&self, column: usize, group: usize) -> usize {
        place(self.n, self.k, column, group)
    }

    /// The groups from that of a column on: neighbours are those of the next columns of its block, and
    /// so many groups on, which is the second value, is the column's next. There are [`MOST`] columns
    /// in any case.
    ///
    /// # Panics
    /// There is no such column or group.
    pub fn groups(&self, column: usize, group: usize) -> (&[Group], usize) {
        assert!(column < self.n && group < self.k / GROUP);
        let end = self.n * (self.k / GROUP) + MOST;
        (&self.groups[self.place(column, group)..end], width(self.n, column))
    }
}

/// How many of `n` columns are in the block of one.
fn width(n: usize, column: usize) -> usize {
    (n - column / BLOCK * BLOCK).min(BLOCK)
}

fn place(n: usize, k: usize, column: usize, group: usize) -> usize {
    let first = column / BLOCK * BLOCK;
    first * (k / GROUP) + group * width(n, column) + column - first
}

/// Some groups, whole spans, of all columns of the block that begins at `first`.
struct Quantize<'a> {
    span: Span,
    n: usize,
    k: usize,
    floats: &'a [f32],
    out: RawMut<Group>,
    first: usize,
    groups: Range<usize>,
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, _: A) {
        match self.span {
            Span::Of32 => self.spans::<2>(),
            Span::Of64 => self.spans::<4>(),
        }
    }
}

impl Quantize<'_> {
    /// Spans of `V` vectors.
    #[inline(always)]
    fn spans<const V: usize>(self) {
        let Quantize { span, n, k, floats, out, first, groups } = self;
        let scaled = span == Span::Of32;
        for from in groups.step_by(V / 2) {
            for column in first..first + width(n, first) {
                let mut x = [F::splat(0.0); V];
                for (i, x) in x.iter_mut().enumerate() {
                    *x = F::from_slice(&floats[column * k + from * GROUP + i * LANES..][..LANES]);
                }
                let scale = Scale::of(&x);
                for i in 0..V / 2 {
                    let q = [scale.integers(x[2 * i]), scale.integers(x[2 * i + 1])];
                    let group = Group::new(q, scale.scale[0], scaled);
                    // SAFETY: a group is in its place, and written by one caller.
                    unsafe { out.write(place(n, k, column, from + i), group) };
                }
            }
        }
    }
}

impl Group {
    #[inline(always)]
    fn new(q: [i32x16; 2], scale: f32, scaled: bool) -> Group {
        const IN_TURN: [usize; 32] = {
            let mut at = [0; 32];
            let mut i = 0;
            while i < 32 {
                at[i] = i;
                i += 1;
            }
            at
        };
        let bytes: i8x32 = simd_swizzle!(q[0].cast::<i8>(), q[1].cast::<i8>(), IN_TURN);
        let [first, last] = [q[0].reduce_sum(), q[1].reduce_sum()];
        let factor = if scaled { scale } else { 1.0 };
        Group {
            q: bytes.to_array(),
            scale,
            sum: factor * (first + last) as f32,
            sums: [factor * first as f32, factor * last as f32],
            start: -64 * (first + last),
            start_wide: -128 * (first + last),
            starts: [-64 * first, -64 * last],
        }
    }
}

/// The scale of some values, and one divided by it, in every lane.
struct Scale {
    scale: F,
    inverse: F,
}

impl Scale {
    /// The better one.
    #[inline(always)]
    fn of<const V: usize>(x: &[F; V]) -> Scale {
        let (mut most, mut least) = (x[0], -x[0]);
        for &x in &x[1..] {
            (most, least) = (larger(most, x), larger(least, -x));
        }
        let highest = fold_halves(most, least);
        let (most, least) = (low_half(highest), -high_half(highest));
        let far = most.simd_gt(-least).select(most, least);
        let none = F::splat(0.0);
        let inverse = far.simd_eq(none).select(none, F::splat(1.0) / far);
        let first = Scale::new(far, inverse, -128.0);
        let second = Scale::new(far, inverse, -127.0);
        let gain = sum_lanes(first.squares(x) - second.squares(x));
        let better = gain.simd_gt(none);
        Scale {
            scale: better.select(second.scale, first.scale),
            inverse: better.select(second.inverse, first.inverse),
        }
    }

    /// That by which `far`, the farthest value, becomes `to`.
    #[inline(always)]
    fn new(far: F, inverse: F, to: f32) -> Scale {
        Scale { scale: far * F::splat(1.0 / to), inverse: inverse * F::splat(to) }
    }

    /// Values in integers. Only one opposite to the farthest can round to 128.
    #[inline(always)]
    fn integers(&self, x: F) -> i32x16 {
        round(x * self.inverse).simd_min(Simd::splat(127))
    }

    /// The squared differences that the integers make, in parts.
    #[inline(always)]
    fn squares<const V: usize>(&self, x: &[F; V]) -> F {
        let mut squares = F::splat(0.0);
        for &x in x {
            let difference = x - self.integers(x).cast() * self.scale;
            squares += difference * difference;
        }
        squares
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
