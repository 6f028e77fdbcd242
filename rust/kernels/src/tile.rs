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
use std::ptr;
use std::simd::num::SimdInt;

use crate::activations::{Activations, Group};
use crate::isa::{B, F, I, Isa, Kernel, LANES, Level, dispatch_at, prefetch, prefetch_l2};
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

/// What the loop needs to know of a type.
pub trait Shape {
    /// Weights that share a scale, 16 or 32.
    const GROUP: usize;
    /// Whether there is a minimum for every scale, rather than a bias.
    const MIN: bool;
    /// Whether bytes exceed 127.
    const WIDE: bool;
}

struct Fixed<const GROUP: usize, const MIN: bool, const WIDE: bool>;

impl<const GROUP: usize, const MIN: bool, const WIDE: bool> Shape for Fixed<GROUP, MIN, WIDE> {
    const GROUP: usize = GROUP;
    const MIN: bool = MIN;
    const WIDE: bool = WIDE;
}

struct Of<T>(PhantomData<T>);

impl<T: Block> Shape for Of<T> {
    const GROUP: usize = T::GROUP;
    const MIN: bool = matches!(T::OFFSET, Offset::Min);
    const WIDE: bool = T::WIDE;
}

/// The same as a value; types that agree in it share the compiled loop.
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
    /// Memory that is needed next and is fetched meanwhile, for each panel; it need not exist.
    pub ahead: [*const u8; 2],
    /// How much for each panel.
    pub ahead_len: usize,
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
    let job = Job { panels, x, place, bias: format.offset.bias() };
    match (format.group, format.offset == Offset::Min, format.wide) {
        (32, false, false) => {
            dispatch_at(level, Multiply::<Fixed<32, false, false>>(job, PhantomData))
        }
        (32, false, true) => {
            dispatch_at(level, Multiply::<Fixed<32, false, true>>(job, PhantomData))
        }
        (32, true, false) => {
            dispatch_at(level, Multiply::<Fixed<32, true, false>>(job, PhantomData))
        }
        (16, false, false) => {
            dispatch_at(level, Multiply::<Fixed<16, false, false>>(job, PhantomData))
        }
        (16, true, false) => {
            dispatch_at(level, Multiply::<Fixed<16, true, false>>(job, PhantomData))
        }
        (group, ..) => unreachable!("no type has wide or uncommon groups of {group}"),
    }
}

struct Job<'a> {
    panels: &'a [Panel],
    x: &'a Activations,
    place: Place,
    bias: u32,
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
    let Place { ref columns, len, ahead_len, .. } = job.place;
    let ahead = &job.place.ahead[first..first + G];
    let tiles = columns.len().div_ceil(A::TILE_COLUMNS);
    // In one tile of few columns memory is awaited, so that it is fetched at an even pace; in many
    // tiles a burst for each will do.
    let pace = if tiles <= 2 { ahead_len / (len / 32) } else { 0 };
    let burst = if tiles <= 2 { 0 } else { ahead_len.div_ceil(tiles).next_multiple_of(64) };
    let mut column = columns.start;
    for i in 0..tiles {
        let n = (columns.end - column).min(A::TILE_COLUMNS);
        for ahead in ahead {
            prefetch_l2(ahead.wrapping_add(i * burst), burst);
        }
        let pace = if i == 0 { pace } else { 0 };
        // SAFETY: the caller's conditions.
        unsafe {
            match n {
                1 => tile::<A, S, G, 1>(isa, job, first, column, pace),
                2 => tile::<A, S, G, 2>(isa, job, first, column, pace),
                3 => tile::<A, S, G, 3>(isa, job, first, column, pace),
                4 => tile::<A, S, G, 4>(isa, job, first, column, pace),
                5 => tile::<A, S, G, 5>(isa, job, first, column, pace),
                _ => tile::<A, S, G, 6>(isa, job, first, column, pace),
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
unsafe fn tile<A: Isa, S: Shape, const G: usize, const N: usize>(
    isa: A,
    job: &Job,
    first: usize,
    column: usize,
    pace: usize,
) {
    let Job { x, ref place, bias, .. } = *job;
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
        let groups = x.groups.as_ptr().add(column * stride + k / 32);
        let mut weights = [Pointers::NONE; G];
        for g in 0..G {
            weights[g] = Pointers::new(&panels[g].bytes, &panels[g].scales, &panels[g].mins);
        }
        let mut ahead = [ptr::null(); G];
        ahead.copy_from_slice(&place.ahead[first..first + G]);
        let ahead = (ahead, pace);
        add_products::<A, S, G, N>(isa, weights, bias, groups, stride, len / 32, ahead, &mut sums);
        for g in 0..G {
            for c in 0..N {
                let at = out.add(c * place.out_stride + g * LANES);
                at.cast::<F>().write_unaligned(sums[g][c]);
            }
        }
    }
}

/// Where unpacked weights are.
#[derive(Clone, Copy)]
struct Pointers {
    bytes: *const B,
    scales: *const F,
    mins: *const F,
}

impl Pointers {
    const NONE: Pointers = Pointers { bytes: ptr::null(), scales: ptr::null(), mins: ptr::null() };

    #[inline(always)]
    fn new(bytes: &[B], scales: &[F], mins: &[F]) -> Self {
        Pointers { bytes: bytes.as_ptr(), scales: scales.as_ptr(), mins: mins.as_ptr() }
    }
}

/// Adds the products of `n` times 32 weights of `G` × 16 rows with `N` columns, whose groups are
/// `stride` apart. With every 32, `pace` bytes of the memory ahead are fetched.
///
/// # Safety
/// So many weights and groups are there.
#[inline(always)]
unsafe fn add_products<A: Isa, S: Shape, const G: usize, const N: usize>(
    isa: A,
    weights: [Pointers; G],
    bias: u32,
    groups: *const Group,
    stride: usize,
    n: usize,
    (ahead, pace): ([*const u8; G], usize),
    sums: &mut [[F; N]; G],
) {
    let bias = I::splat(bias as i32);
    let halves = 32 / S::GROUP;
    for i in 0..n {
        for ahead in ahead {
            prefetch(ahead.wrapping_add(i * pace), pace);
        }
        for half in 0..halves {
            // SAFETY: the caller's condition.
            unsafe {
                let group = groups.add(i);
                let mut dots = [[I::splat(0); N]; G];
                if !S::MIN {
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
                for j in 0..S::GROUP / 4 {
                    let mut w = [B::splat(0); G];
                    for g in 0..G {
                        w[g] = *weights[g].bytes.add(i * 8 + half * 4 + j);
                    }
                    for c in 0..N {
                        let q = (*group.add(c * stride)).q.as_ptr().add(16 * half + 4 * j);
                        let q = q.cast::<[i8; 4]>().read();
                        for g in 0..G {
                            dots[g][c] = if S::WIDE {
                                isa.dot_u8(dots[g][c], w[g], q)
                            } else {
                                isa.dot_u7(dots[g][c], w[g], q)
                            };
                        }
                    }
                }
                for g in 0..G {
                    let scale = *weights[g].scales.add(i * halves + half);
                    for c in 0..N {
                        let activation = F::splat((*group.add(c * stride)).scale);
                        let product = dots[g][c].cast::<f32>() * scale;
                        sums[g][c] = isa.fma(product, activation, sums[g][c]);
                    }
                    if S::MIN {
                        let min = *weights[g].mins.add(i * halves + half);
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
        }
    }
}

/// One or two strips of 16 rows × one column, from packed weights: block after block is unpacked and
/// used at once, so that memory is read without pause.
pub struct Single<'a> {
    /// The weights: where the rows or the panel of each 16 rows begin.
    pub first: *const u8,
    /// From row to row.
    pub stride: usize,
    /// How many times 16 rows, 1 or 2.
    pub strips: usize,
    /// The column.
    pub x: &'a Activations,
    /// The results, 16 for each strip.
    pub out: *mut f32,
    /// From what is read of a panel to what is fetched.
    pub distance: usize,
}

impl Single<'_> {
    /// Computes them.
    ///
    /// # Safety
    /// There is one quantized column; the rows are at `first`, `stride` bytes apart, or their panels
    /// are; and the results can be written.
    pub unsafe fn run<T: Block, const PANELS: bool>(self, level: Level) {
        assert!(self.x.n == 1 && self.x.groups.len() >= self.x.k / 32);
        dispatch_at(level, Fused::<T, PANELS>(self, PhantomData));
    }
}

struct Fused<'a, T, const PANELS: bool>(Single<'a>, PhantomData<T>);

impl<T: Block, const PANELS: bool> Kernel for Fused<'_, T, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        // SAFETY: `Single::run`'s conditions.
        unsafe {
            if self.0.strips == 2 && T::LEN < 256 {
                single::<A, T, PANELS, 2>(isa, &self.0, 0);
            } else {
                for g in 0..self.0.strips {
                    single::<A, T, PANELS, 1>(isa, &self.0, g);
                }
            }
        }
    }
}

/// # Safety
/// As for [`Single::run`].
#[inline(always)]
unsafe fn single<A: Isa, T: Block, const PANELS: bool, const G: usize>(
    isa: A,
    job: &Single,
    strip: usize,
) {
    // The longest block is 256 weights in groups of 16.
    let mut bytes = [[B::splat(0); 64]; G];
    let mut scales = [[F::splat(0.0); 16]; G];
    let mut mins = [[F::splat(0.0); 16]; G];
    let mut sums = [[F::splat(0.0); 1]; G];
    let (vectors, groups) = (T::LEN / 4, T::LEN / T::GROUP);
    let size = size_of::<T>();
    for i in 0..job.x.k / T::LEN {
        let mut weights = [Pointers::NONE; G];
        for g in 0..G {
            let strip = job.first.wrapping_add((strip + g) * LANES * job.stride);
            let (first, ahead) = if PANELS {
                let first = strip.wrapping_add(i * LANES * size);
                (first, first.wrapping_add(job.distance))
            } else {
                // The rows after these come next in memory, and are fetched evenly meanwhile.
                let next = strip.wrapping_add(G * LANES * job.stride);
                (strip.wrapping_add(i * size), next.wrapping_add(i * LANES * size))
            };
            let out = Unpacked {
                bytes: &mut bytes[g][..vectors],
                scales: &mut scales[g][..groups],
                mins: &mut mins[g][..groups],
            };
            // SAFETY: the caller's conditions.
            T::unpack(isa, unsafe { Rows::<T, PANELS>::new(first, job.stride, ahead) }, out);
            weights[g] = Pointers::new(&bytes[g], &scales[g], &mins[g]);
        }
        let n = T::LEN / 32;
        // SAFETY: the block is unpacked, and the column has its groups.
        unsafe {
            let x = job.x.groups.as_ptr().add(i * n);
            let ahead = ([ptr::null(); G], 0);
            let bias = T::OFFSET.bias();
            add_products::<A, Of<T>, G, 1>(isa, weights, bias, x, 0, n, ahead, &mut sums);
        }
    }
    for g in 0..G {
        // SAFETY: the caller's conditions.
        unsafe { job.out.add((strip + g) * LANES).cast::<F>().write_unaligned(sums[g][0]) };
    }
}
