//! Decoding: 16 or 32 weight rows times few columns, straight from packed weights.
//!
//! Block after block is unpacked and used at once, so that memory is read without pause. The sums are
//! those of the tile.

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;

use crate::activations::Activations;
use crate::isa::{B, F, Isa, Kernel, LANES, Level, dispatch_at};
use crate::panels::DISTANCE;
use crate::products::{Of, Pointers, add_products};
use crate::quant::{Block, Rows, Unpacked};

/// The most columns of [`Few`].
pub const MOST: usize = 8;

/// One or two strips of 16 rows × up to [`MOST`] columns, only one unless the weights are in panels.
pub struct Few<'a> {
    /// The weights: where the rows or the panel of each 16 rows begin.
    pub first: *const u8,
    /// From row to row.
    pub stride: usize,
    /// How many times 16 rows, 1 or 2.
    pub strips: usize,
    /// All columns, of which
    pub x: &'a Activations,
    /// these are meant.
    pub columns: Range<usize>,
    /// The results of the first of them, 16 for each strip.
    pub out: *mut f32,
    /// From a column's results to the next one's.
    pub out_stride: usize,
}

impl Few<'_> {
    /// Computes them.
    ///
    /// # Safety
    /// The columns are quantized and exist; the rows are at `first`, `stride` bytes apart, or their panels
    /// are; and the results can be written.
    pub unsafe fn run<T: Block, const PANELS: bool>(self, level: Level) {
        let Few { x, columns, .. } = &self;
        assert!(columns.end <= x.n);
        assert!(columns.len() == 1 || PANELS && (1..=MOST).contains(&columns.len()));
        dispatch_at(level, Fused::<T, PANELS>(self, PhantomData));
    }
}

struct Fused<'a, T, const PANELS: bool>(Few<'a>, PhantomData<T>);

impl<T: Block, const PANELS: bool> Kernel for Fused<'_, T, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let job = &self.0;
        // SAFETY: `Few::run`'s conditions.
        unsafe {
            if job.columns.len() == 1 && job.strips == 2 && T::LEN < 256 {
                return strips::<A, T, PANELS, 2, 1>(isa, job, 0);
            }
            for strip in 0..job.strips {
                // What is computed of columns beyond them has no meaning.
                match job.columns.len() {
                    1 => strips::<A, T, PANELS, 1, 1>(isa, job, strip),
                    2 if PANELS => strips::<A, T, PANELS, 1, 2>(isa, job, strip),
                    3 | 4 if PANELS => strips::<A, T, PANELS, 1, 4>(isa, job, strip),
                    5 | 6 if PANELS => strips::<A, T, PANELS, 1, 6>(isa, job, strip),
                    _ if PANELS => strips::<A, T, PANELS, 1, MOST>(isa, job, strip),
                    n => unreachable!("{n} columns without panels"),
                }
            }
        }
    }
}

/// `G` strips × `N` columns, or fewer.
///
/// # Safety
/// As for [`Few::run`].
#[inline(always)]
unsafe fn strips<A: Isa, T: Block, const PANELS: bool, const G: usize, const N: usize>(
    isa: A,
    job: &Few,
    strip: usize,
) {
    // The longest block is 256 weights in groups of 16.
    let mut bytes = [[B::splat(0); 64]; G];
    let mut scales = [[F::splat(0.0); 16]; G];
    let mut mins = [[F::splat(0.0); 16]; G];
    let mut sums = [[F::splat(0.0); N]; G];
    let (vectors, groups) = (T::LEN / 4, T::LEN / T::GROUP);
    let size = size_of::<T>();
    let (x, stride) = job.x.int8(T::SPAN).groups(job.columns.start, 0);
    let x = x.as_ptr();
    for i in 0..job.x.k / T::LEN {
        let mut weights = [Pointers::NONE; G];
        for g in 0..G {
            let strip = job.first.wrapping_add((strip + g) * LANES * job.stride);
            let (first, ahead) = if PANELS {
                let first = strip.wrapping_add(i * LANES * size);
                (first, first.wrapping_add(DISTANCE))
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
        // SAFETY: the block is unpacked, and the columns have their groups.
        unsafe {
            let x = (x.add(i * n * stride), stride);
            let ahead = ([ptr::null(); G], 0);
            add_products::<A, Of<T>, G, N>(isa, weights, x, n, ahead, &mut sums);
        }
    }
    for g in 0..G {
        for c in 0..N.min(job.columns.len()) {
            let at = job.out.wrapping_add(c * job.out_stride + (strip + g) * LANES);
            // SAFETY: the caller's conditions.
            unsafe { at.cast::<F>().write_unaligned(sums[g][c]) };
        }
    }
}
