//! The innermost loop: unpacked weights times activations, added to sums.
//!
//! The float sums of a row and a column are added in the order of k whatever the width of the tile,
//! so a column's result does not depend on its neighbours.

use std::marker::PhantomData;
use std::ptr;
use std::simd::num::SimdInt;

use crate::activations::{Group, Strides};
use crate::isa::{B, F, I, Isa, prefetch};
use crate::quant::{Block, Offset};

/// What the loop needs to know of a type.
pub trait Shape {
    /// Weights that share a scale, 16 or 32.
    const GROUP: usize;
    /// Whether there is a minimum for every scale, rather than a bias.
    const MIN: bool;
    /// Whether bytes exceed 127.
    const WIDE: bool;
}

/// That shape.
pub struct Fixed<const GROUP: usize, const MIN: bool, const WIDE: bool>;

impl<const GROUP: usize, const MIN: bool, const WIDE: bool> Shape for Fixed<GROUP, MIN, WIDE> {
    const GROUP: usize = GROUP;
    const MIN: bool = MIN;
    const WIDE: bool = WIDE;
}

/// The shape of a type.
pub struct Of<T>(PhantomData<T>);

impl<T: Block> Shape for Of<T> {
    const GROUP: usize = T::GROUP;
    const MIN: bool = matches!(T::OFFSET, Offset::Min);
    const WIDE: bool = T::WIDE;
}

/// Where unpacked weights are.
#[derive(Clone, Copy)]
pub struct Pointers {
    bytes: *const B,
    scales: *const F,
    mins: *const F,
}

impl Pointers {
    /// Nowhere yet.
    pub const NONE: Pointers =
        Pointers { bytes: ptr::null(), scales: ptr::null(), mins: ptr::null() };

    /// `[n / 4]` bytes of 16 rows, and what scales them.
    #[inline(always)]
    pub fn new(bytes: &[B], scales: &[F], mins: &[F]) -> Self {
        Pointers { bytes: bytes.as_ptr(), scales: scales.as_ptr(), mins: mins.as_ptr() }
    }
}

/// Adds the products of `n` times 32 weights of `G` × 16 rows with `N` columns, whose groups begin at `x`.
/// With every 32 weights, `pace` bytes of the memory ahead are fetched, which need not exist.
///
/// # Safety
/// So many weights and groups are there.
#[inline(always)]
pub unsafe fn add_products<A: Isa, S: Shape, const G: usize, const N: usize>(
    isa: A,
    weights: [Pointers; G],
    bias: u32,
    (x, strides): (*const Group, Strides),
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
                let mut dots = [[I::splat(0); N]; G];
                if !S::MIN {
                    for c in 0..N {
                        let group = x.add(c * strides.column + i * strides.group);
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
                        let q = (*x.add(c * strides.column + i * strides.group))
                            .q
                            .as_ptr()
                            .add(16 * half + 4 * j);
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
                        let activation =
                            F::splat((*x.add(c * strides.column + i * strides.group)).scale);
                        let product = dots[g][c].cast::<f32>() * scale;
                        sums[g][c] = isa.fma(product, activation, sums[g][c]);
                    }
                    if S::MIN {
                        let min = *weights[g].mins.add(i * halves + half);
                        for c in 0..N {
                            let group = x.add(c * strides.column + i * strides.group);
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
