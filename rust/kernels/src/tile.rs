//! The one loop of all quantized types: 16 or 32 weight rows times a few columns.
//!
//! Weights stand as unsigned bytes `[k / 4][16 rows][4]`: a lane is a row, so nothing is summed across
//! lanes. Four activations of a column, broadcast, meet four weights of every row in one dot-product
//! instruction. A group of 16 or 32 weights is summed exactly in integers, starting at minus the
//! bias times the activations' sum, and then added to the float sum with the two scales.
//!
//! The float sums of a row and a column are added in the order of k whatever the width of the tile,
//! so a column's result does not depend on its neighbours.

use std::marker::PhantomData;
use std::ops::Range;
use std::simd::num::SimdInt;

use crate::activations::Activations;
use crate::isa::{B, F, I, Isa, Kernel, LANES, Level, dispatch_at, prefetch_l2};
use crate::quant::{Block, Offset, Rows, Unpacked};

/// Scratch for one unpacked chunk of 16 rows.
pub struct Panel {
    bytes: Vec<B>,
    scales: Vec<F>,
    mins: Vec<F>,
}

impl Panel {
    /// Room for chunks of `k` weights.
    pub fn new(k: usize) -> Panel {
        Panel {
            bytes: vec![B::splat(0); k / 4],
            scales: vec![F::splat(0.0); k / 16],
            mins: vec![F::splat(0.0); k / 16],
        }
    }

    /// Unpacks `n` blocks of each of 16 rows. Memory from `ahead` on, as much as is read, is fetched
    /// meanwhile; it need not exist.
    ///
    /// # Safety
    /// At `first + r * stride`, for each `r < 16`, there are `n` blocks.
    pub unsafe fn fill<T: Block>(
        &mut self,
        level: Level,
        first: *const u8,
        stride: usize,
        n: usize,
        ahead: *const u8,
    ) {
        dispatch_at(level, Fill::<T> { panel: self, first, stride, n, ahead, block: PhantomData });
    }
}

struct Fill<'a, T> {
    panel: &'a mut Panel,
    first: *const u8,
    stride: usize,
    n: usize,
    ahead: *const u8,
    block: PhantomData<T>,
}

impl<T: Block> Kernel for Fill<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Panel { bytes, scales, mins } = self.panel;
        let (vectors, groups) = (T::LEN / 4, T::LEN / T::GROUP);
        let (bytes, scales) = (&mut bytes[..self.n * vectors], &mut scales[..self.n * groups]);
        let mins = &mut mins[..self.n * groups];
        for i in 0..self.n {
            let first = self.first.wrapping_add(i * size_of::<T>());
            let ahead = self.ahead.wrapping_add(i * LANES * size_of::<T>());
            // SAFETY: `Panel::fill`'s condition.
            let rows = unsafe { Rows::<T>::new(first, self.stride, ahead) };
            let out = Unpacked {
                bytes: &mut bytes[i * vectors..(i + 1) * vectors],
                scales: &mut scales[i * groups..(i + 1) * groups],
                mins: &mut mins[i * groups..(i + 1) * groups],
            };
            T::unpack(isa, rows, out);
        }
    }
}

/// What the loop needs to know of a type; types that agree in it share the compiled loop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Format {
    group: usize,
    offset: Offset,
    wide: bool,
}

impl Format {
    /// That of a type.
    pub const fn of<T: Block>() -> Format {
        Format { group: T::GROUP, offset: T::OFFSET, wide: T::WIDE }
    }
}

/// Where in the activations and results a tile is.
#[derive(Clone)]
pub struct Place {
    /// The columns.
    pub columns: Range<usize>,
    /// The first value of the chunk, a multiple of 32.
    pub k: usize,
    /// Values in the chunk, a multiple of 32.
    pub len: usize,
    /// Results of column 0, 16 rows for each panel.
    pub out: *mut f32,
    /// From a column's results to the next one's.
    pub out_stride: usize,
    /// Memory that is needed next, and is fetched meanwhile; it need not exist.
    pub ahead: Range<*const u8>,
}

/// Adds the products of a chunk: one or two panels × some columns. The first chunk (`place.k == 0`)
/// writes.
///
/// # Safety
/// The panels hold `place.len` unpacked values; the columns are quantized and inside `x`; 16 floats
/// for each panel can be written at `place.out + c * place.out_stride` for each column `c`.
pub unsafe fn multiply(
    level: Level,
    format: Format,
    panels: &[Panel],
    x: &Activations,
    place: Place,
) {
    let Place { columns, k, len, .. } = &place;
    assert!(columns.end <= x.n && k + len <= x.k && x.groups.len() >= x.n * x.k / 32);
    let (bias, min) = match format.offset {
        Offset::Bias(bias) => (bias, false),
        Offset::Min => (0, true),
    };
    let job = Job { panels, x, place, bias };
    match (format.group, min, format.wide) {
        (32, false, false) => dispatch_at(level, Multiply::<32, false, false>(job)),
        (32, false, true) => dispatch_at(level, Multiply::<32, false, true>(job)),
        (32, true, false) => dispatch_at(level, Multiply::<32, true, false>(job)),
        (16, false, false) => dispatch_at(level, Multiply::<16, false, false>(job)),
        (16, true, false) => dispatch_at(level, Multiply::<16, true, false>(job)),
        (group, ..) => unreachable!("no type has wide or uncommon groups of {group}"),
    }
}

struct Job<'a> {
    panels: &'a [Panel],
    x: &'a Activations,
    place: Place,
    bias: u32,
}

struct Multiply<'a, const GROUP: usize, const MIN: bool, const WIDE: bool>(Job<'a>);

impl<const GROUP: usize, const MIN: bool, const WIDE: bool> Kernel
    for Multiply<'_, GROUP, MIN, WIDE>
{
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let job = &self.0;
        // SAFETY: `multiply`'s conditions, for these panels and columns.
        unsafe {
            if A::TILE_GROUPS == 2 && job.panels.len() == 2 {
                columns::<A, GROUP, MIN, WIDE, 2>(isa, job, 0);
            } else {
                for panel in 0..job.panels.len() {
                    columns::<A, GROUP, MIN, WIDE, 1>(isa, job, panel);
                }
            }
        }
    }
}

/// `G` panels from `first` on × all columns.
///
/// # Safety
/// As for [`multiply`].
#[inline(always)]
unsafe fn columns<A: Isa, const GROUP: usize, const MIN: bool, const WIDE: bool, const G: usize>(
    isa: A,
    job: &Job,
    first: usize,
) {
    let Place { columns, ahead, .. } = &job.place;
    let tiles = columns.len().div_ceil(A::TILE_COLUMNS);
    let share = (ahead.end.addr() - ahead.start.addr()).div_ceil(tiles).next_multiple_of(64);
    let mut column = columns.start;
    let mut fetch = ahead.start;
    while column < columns.end {
        let n = (columns.end - column).min(A::TILE_COLUMNS);
        if fetch < ahead.end {
            prefetch_l2(fetch, share);
            fetch = fetch.wrapping_add(share);
        }
        // SAFETY: the caller's conditions.
        unsafe {
            match n {
                1 => tile::<A, GROUP, MIN, WIDE, G, 1>(isa, job, first, column),
                2 => tile::<A, GROUP, MIN, WIDE, G, 2>(isa, job, first, column),
                3 => tile::<A, GROUP, MIN, WIDE, G, 3>(isa, job, first, column),
                4 => tile::<A, GROUP, MIN, WIDE, G, 4>(isa, job, first, column),
                5 => tile::<A, GROUP, MIN, WIDE, G, 5>(isa, job, first, column),
                _ => tile::<A, GROUP, MIN, WIDE, G, 6>(isa, job, first, column),
            }
        }
        column += n;
    }
}

/// `G` panels × `N` columns.
///
/// # Safety
/// As for [`multiply`].
#[inline(always)]
unsafe fn tile<
    A: Isa,
    const GROUP: usize,
    const MIN: bool,
    const WIDE: bool,
    const G: usize,
    const N: usize,
>(
    isa: A,
    job: &Job,
    first: usize,
    column: usize,
) {
    let Job { x, ref place, bias, .. } = *job;
    let bias = I::splat(bias as i32);
    let (k, len) = (place.k, place.len);
    let panels = &job.panels[first..first + G];
    // SAFETY: columns `column..column + N` and values `k..k + len` are inside `x`, the panels hold
    // `len` values, and the results can be written, all by the caller's conditions.
    unsafe {
        let out = place.out.add(column * place.out_stride + first * LANES);
        let mut sums = [[F::splat(0.0); N]; G];
        if k > 0 {
            for g in 0..G {
                for c in 0..N {
                    let at = out.add(c * place.out_stride + g * LANES);
                    sums[g][c] = at.cast::<F>().read_unaligned();
                }
            }
        }
        let stride = x.k / 32;
        let mut group = x.groups.as_ptr().add(column * stride + k / 32);
        let halves = 32 / GROUP;
        for i in 0..len / 32 {
            for half in 0..halves {
                let mut dots = [[I::splat(0); N]; G];
                if !MIN {
                    for c in 0..N {
                        let group = group.add(c * stride);
                        let sum = match (halves, half) {
                            (1, _) => I::splat((*group).minus_sum),
                            (_, 0) => I::splat((*group).minus_sum_16),
                            _ => I::splat((*group).minus_sum) - I::splat((*group).minus_sum_16),
                        };
                        for g in 0..G {
                            dots[g][c] = sum << bias;
                        }
                    }
                }
                for j in 0..GROUP / 4 {
                    let mut w = [B::splat(0); G];
                    for g in 0..G {
                        w[g] = *panels[g].bytes.as_ptr().add(i * 8 + half * 4 + j);
                    }
                    for c in 0..N {
                        let q = (*group.add(c * stride)).q.as_ptr().add(16 * half + 4 * j);
                        let q = q.cast::<[i8; 4]>().read();
                        for g in 0..G {
                            dots[g][c] = if WIDE {
                                isa.dot_u8(dots[g][c], w[g], q)
                            } else {
                                isa.dot_u7(dots[g][c], w[g], q)
                            };
                        }
                    }
                }
                for g in 0..G {
                    let scale = *panels[g].scales.as_ptr().add(i * halves + half);
                    for c in 0..N {
                        let activation = F::splat((*group.add(c * stride)).scale);
                        let product = dots[g][c].cast::<f32>() * scale;
                        sums[g][c] = isa.fma(product, activation, sums[g][c]);
                    }
                    if MIN {
                        let min = *panels[g].mins.as_ptr().add(i * halves + half);
                        for c in 0..N {
                            let group = group.add(c * stride);
                            let sum = match (halves, half) {
                                (1, _) => F::splat((*group).scaled_sum),
                                (_, half) => {
                                    let first = -(*group).minus_sum_16;
                                    let sum =
                                        if half == 0 { first } else { -(*group).minus_sum - first };
                                    F::splat((*group).scale * sum as f32)
                                }
                            };
                            sums[g][c] = isa.fma(min, sum, sums[g][c]);
                        }
                    }
                }
            }
            group = group.add(1);
        }
        for g in 0..G {
            for c in 0..N {
                let at = out.add(c * place.out_stride + g * LANES);
                at.cast::<F>().write_unaligned(sums[g][c]);
            }
        }
    }
}
