//! The one loop of all quantized types: 16 or 32 weight rows times a few columns.
//!
//! Weights stand as unsigned bytes `[k / 4][16 rows][4]`: a lane is a row, so nothing is summed across
//! lanes. Four activations of a column, broadcast, meet four weights of every row in one dot-product
//! instruction. A group of 16 or 32 weights is summed exactly in integers, starting at minus the
//! bias times the activations' sum, and then added to the float sum with the two scales.

use std::marker::PhantomData;
use std::ptr;

use crate::activations::{Activations, BLOCK, Quantized, Span};
use crate::isa::{B, F, Isa, Kernel, LANES, Level, dispatch_at, prefetch_l2};
use crate::products::{Pointers, Shape, add_products};
use crate::quant::{Block, Offset, Rows, Unpacked};

/// Up to how many tiles memory is fetched at an even pace.
const PACED: usize = 16;

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
    /// At `first + r * stride`, for each `r < 16`, there are `n` blocks; or, if `PANELS`, the `16 n`
    /// blocks of a panel are at `first`.
    pub unsafe fn fill<T: Block, const PANELS: bool>(
        &mut self,
        level: Level,
        first: *const u8,
        stride: usize,
        n: usize,
        ahead: *const u8,
    ) {
        let panel = self;
        dispatch_at(
            level,
            Fill::<T, PANELS> { panel, first, stride, n, ahead, block: PhantomData },
        );
    }
}

struct Fill<'a, T, const PANELS: bool> {
    panel: &'a mut Panel,
    first: *const u8,
    stride: usize,
    n: usize,
    ahead: *const u8,
    block: PhantomData<T>,
}

impl<T: Block, const PANELS: bool> Kernel for Fill<'_, T, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Panel { bytes, scales, mins } = self.panel;
        let (vectors, groups) = (T::LEN / 4, T::LEN / T::GROUP);
        let (bytes, scales) = (&mut bytes[..self.n * vectors], &mut scales[..self.n * groups]);
        let mins = &mut mins[..self.n * groups];
        for i in 0..self.n {
            let step = if PANELS { LANES * size_of::<T>() } else { size_of::<T>() };
            let first = self.first.wrapping_add(i * step);
            let ahead = self.ahead.wrapping_add(i * LANES * size_of::<T>());
            // SAFETY: `Panel::fill`'s condition.
            let rows = unsafe { Rows::<T, PANELS>::new(first, self.stride, ahead) };
            let out = Unpacked {
                bytes: &mut bytes[i * vectors..(i + 1) * vectors],
                scales: &mut scales[i * groups..(i + 1) * groups],
                mins: &mut mins[i * groups..(i + 1) * groups],
            };
            T::unpack(isa, rows, out);
        }
    }
}

/// A [`Shape`] as a value; types that agree in it share the compiled loop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Format {
    group: usize,
    offset: Offset,
    span: Span,
}

impl Format {
    /// That of a type.
    pub const fn of<T: Block>() -> Format {
        Format { group: T::GROUP, offset: T::OFFSET, span: T::SPAN }
    }
}

/// Where in the activations and results a tile is.
#[derive(Clone)]
pub struct Place {
    /// The first value of the chunk, a multiple of 32.
    pub k: usize,
    /// Values in the chunk, a multiple of 32.
    pub len: usize,
    /// Results of column 0, 16 rows for each panel.
    pub out: *mut f32,
    /// From a column's results to the next one's.
    pub out_stride: usize,
    /// Memory that is needed next and is fetched meanwhile, for each panel; it need not exist.
    pub ahead: [*const u8; 2],
    /// How much for each panel.
    pub ahead_len: usize,
}

/// Adds the products of a chunk: one or two panels × all columns. The first chunk (`place.k == 0`)
/// writes.
///
/// # Safety
/// The panels hold `place.len` unpacked values; the columns are quantized; 16 floats
/// for each panel can be written at `place.out + c * place.out_stride` for each column `c`.
pub unsafe fn multiply(
    level: Level,
    format: Format,
    panels: &[Panel],
    x: &Activations,
    place: Place,
) {
    assert!(place.k + place.len <= x.k);
    let job = Job { panels, x: x.int8(format.span), n: x.n, place };
    macro_rules! shapes {
        ($($group:literal, $offset:ident, $span:ident;)*) => {
            match (format.group, format.offset, format.span) {
                $(($group, Offset::$offset, Span::$span) => {
                    struct This;
                    impl Shape for This {
                        const GROUP: usize = $group;
                        const OFFSET: Offset = Offset::$offset;
                        const SPAN: Span = Span::$span;
                    }
                    dispatch_at(level, Multiply::<This>(job, PhantomData))
                })*
                (group, ..) => unreachable!("no type has such groups of {group}"),
            }
        };
    }
    shapes! {
        32, Narrow, Of32;
        32, Wide, Of32;
        32, Min, Of32;
        16, Narrow, Of32;
        16, Min, Of32;
        32, Min, Of64;
        16, Narrow, Of64;
    }
}

struct Job<'a> {
    panels: &'a [Panel],
    x: &'a Quantized,
    n: usize,
    place: Place,
}

struct Multiply<'a, S>(Job<'a>, PhantomData<S>);

impl<S: Shape> Kernel for Multiply<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let job = &self.0;
        // SAFETY: `multiply`'s conditions, for these panels and columns.
        unsafe {
            if A::TILE_GROUPS == 2 && job.panels.len() == 2 {
                columns::<A, S, 2>(isa, job, 0);
            } else {
                for panel in 0..job.panels.len() {
                    columns::<A, S, 1>(isa, job, panel);
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
unsafe fn columns<A: Isa, S: Shape, const G: usize>(isa: A, job: &Job, first: usize) {
    let Place { len, ahead_len, .. } = job.place;
    let mut ahead = [ptr::null(); G];
    ahead.copy_from_slice(&job.place.ahead[first..first + G]);
    let n = job.n;
    let tiles_of = |columns: usize| columns.div_ceil(A::TILE_COLUMNS);
    let tiles = n / BLOCK * tiles_of(BLOCK) + tiles_of(n % BLOCK);
    // Each tile fetches its share: where there are few, at an even pace, since memory is what they
    // wait for; of many, at once.
    let share = ahead_len.div_ceil(tiles);
    let (pace, burst) = if tiles <= PACED { (share.div_ceil(len / 32), 0) } else { (0, share) };
    for start in (0..n).step_by(BLOCK) {
        let columns = BLOCK.min(n - start);
        let tiles = tiles_of(columns);
        let mut column = start;
        for i in 0..tiles {
            for g in 0..G {
                prefetch_l2(ahead[g], burst);
            }
            // Tiles of even widths: a narrow one has too few sums in flight.
            let width = columns / tiles + usize::from(i < columns % tiles);
            // SAFETY: the caller's conditions.
            unsafe {
                match width {
                    1 => tile::<A, S, G, 1>(isa, job, first, column, (ahead, pace)),
                    2 => tile::<A, S, G, 2>(isa, job, first, column, (ahead, pace)),
                    3 => tile::<A, S, G, 3>(isa, job, first, column, (ahead, pace)),
                    4 => tile::<A, S, G, 4>(isa, job, first, column, (ahead, pace)),
                    5 => tile::<A, S, G, 5>(isa, job, first, column, (ahead, pace)),
                    _ => tile::<A, S, G, 6>(isa, job, first, column, (ahead, pace)),
                }
            }
            column += width;
            for g in 0..G {
                ahead[g] = ahead[g].wrapping_add(share);
            }
        }
    }
}

/// `G` panels × `N` columns.
///
/// # Safety
/// As for [`multiply`].
#[inline(always)]
unsafe fn tile<A: Isa, S: Shape, const G: usize, const N: usize>(
    isa: A,
    job: &Job,
    first: usize,
    column: usize,
    fetch: ([*const u8; G], usize),
) {
    let Job { x, ref place, .. } = *job;
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
        let (groups, stride) = x.groups(column, k / 32);
        let groups = (groups.as_ptr(), stride);
        let mut weights = [Pointers::NONE; G];
        for g in 0..G {
            weights[g] = Pointers::new(&panels[g].bytes, &panels[g].scales, &panels[g].mins);
        }
        add_products::<A, S, G, N>(isa, weights, groups, len / 32, fetch, &mut sums);
        for g in 0..G {
            for c in 0..N {
                let at = out.add(c * place.out_stride + g * LANES);
                at.cast::<F>().write_unaligned(sums[g][c]);
            }
        }
    }
}
