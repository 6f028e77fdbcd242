//! Decoding: 16 or 32 weight rows times one column, straight from packed weights.
//!
//! Block after block is unpacked and used at once, so that memory is read without pause. The sums are
//! those of the tile.

use std::marker::PhantomData;
use std::ptr;

use crate::activations::Activations;
use crate::isa::{B, F, Isa, Kernel, LANES, Level, dispatch_at};
use crate::panels::DISTANCE;
use crate::products::{Of, Pointers, add_products};
use crate::quant::{Block, Rows, Unpacked};

/// One or two strips of 16 rows × one column.
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
        // SAFETY: the block is unpacked, and the column has its groups.
        unsafe {
            let x = (job.x.groups.as_ptr().add(i * n), 0);
            let ahead = ([ptr::null(); G], 0);
            let bias = T::OFFSET.bias();
            add_products::<A, Of<T>, G, 1>(isa, weights, bias, x, n, ahead, &mut sums);
        }
    }
    for g in 0..G {
        // SAFETY: the caller's conditions.
        unsafe { job.out.add((strip + g) * LANES).cast::<F>().write_unaligned(sums[g][0]) };
    }
}
