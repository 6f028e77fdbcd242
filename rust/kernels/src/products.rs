//! The innermost loop: unpacked weights times activations, added to sums.
//!
//! The float sums of a row and a column are added in the order of k whatever the width of the tile,
//! so a column's result does not depend on its neighbours.

use std::marker::PhantomData;
use std::ptr;
use std::simd::num::SimdInt;

use crate::activations::{Group, Span};
use crate::isa::{B, F, I, Isa, prefetch};
use crate::quant::{Block, Offset};

/// What the loop needs to know of a type.
pub trait Shape {
    /// Weights that share a scale, 16 or 32.
    const GROUP: usize;
    /// What bytes mean.
    const OFFSET: Offset;
    /// Activations that share a scale.
    const SPAN: Span;
}

/// The shape of a type.
pub struct Of<T>(PhantomData<T>);

impl<T: Block> Shape for Of<T> {
    const GROUP: usize = T::GROUP;
    const OFFSET: Offset = T::OFFSET;
    const SPAN: Span = T::SPAN;
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

/// Adds the products of `n` times 32 weights of `G` × 16 rows with `N` columns, whose groups begin at `x`,
/// `stride` from one to the next of a column. With every 32 weights, `pace` bytes of the memory ahead
/// are fetched, which need not exist.
///
/// # Safety
/// So many weights and groups are there, in whole spans.
#[inline(always)]
pub unsafe fn add_products<A: Isa, S: Shape, const G: usize, const N: usize>(
    isa: A,
    weights: [Pointers; G],
    (x, stride): (*const Group, usize),
    n: usize,
    (ahead, pace): ([*const u8; G], usize),
    sums: &mut [[F; N]; G],
) {
    let span = S::SPAN.values() / 32;
    for first in (0..n).step_by(span) {
        // The sums of a longer span, without the activations' scale.
        let mut spans = [[F::splat(0.0); N]; G];
        for i in first..first + span {
            for ahead in ahead {
                prefetch(ahead.wrapping_add(i * pace), pace);
            }
            for half in 0..32 / S::GROUP {
                // SAFETY: the caller's condition.
                unsafe {
                    let dots = dots::<A, S, G, N>(isa, weights, (x, stride), i, half);
                    let at = i * (32 / S::GROUP) + half;
                    for g in 0..G {
                        let scale = *weights[g].scales.add(at);
                        for c in 0..N {
                            let group = x.add(i * stride + c);
                            let dot = dots[g][c].cast::<f32>();
                            if span == 1 {
                                let activation = F::splat((*group).scale);
                                sums[g][c] = isa.fma(dot * scale, activation, sums[g][c]);
                            } else {
                                spans[g][c] = isa.fma(dot, scale, spans[g][c]);
                            }
                        }
                        if matches!(S::OFFSET, Offset::Min) {
                            let min = *weights[g].mins.add(at);
                            let sums = if span == 1 { &mut *sums } else { &mut spans };
                            for c in 0..N {
                                let group = x.add(i * stride + c);
                                let sum =
                                    if S::GROUP == 32 { (*group).sum } else { (*group).sums[half] };
                                sums[g][c] = isa.fma(min, F::splat(sum), sums[g][c]);
                            }
                        }
                    }
                }
            }
        }
        if span > 1 {
            for c in 0..N {
                // SAFETY: the caller's condition.
                let scale = F::splat(unsafe { (*x.add(first * stride + c)).scale });
                for g in 0..G {
                    sums[g][c] = isa.fma(spans[g][c], scale, sums[g][c]);
                }
            }
        }
    }
}

/// The integer sums of a group of weights, the `half`th of 32 if it is one of 16.
///
/// # Safety
/// As for [`add_products`].
#[inline(always)]
unsafe fn dots<A: Isa, S: Shape, const G: usize, const N: usize>(
    isa: A,
    weights: [Pointers; G],
    (x, stride): (*const Group, usize),
    i: usize,
    half: usize,
) -> [[I; N]; G] {
    let mut dots = [[I::splat(0); N]; G];
    // SAFETY: the caller's condition.
    unsafe {
        for c in 0..N {
            let group = x.add(i * stride + c);
            let start = match (S::OFFSET, S::GROUP) {
                (Offset::Min, _) => 0,
                (Offset::Narrow, 32) => (*group).start,
                (Offset::Wide, 32) => (*group).start_wide,
                (Offset::Narrow, _) => (*group).starts[half],
                (Offset::Wide, _) => 2 * (*group).starts[half],
            };
            for g in 0..G {
                dots[g][c] = I::splat(start);
            }
        }
        for j in 0..S::GROUP / 4 {
            let mut w = [B::splat(0); G];
            for g in 0..G {
                w[g] = *weights[g].bytes.add(i * 8 + half * 4 + j);
            }
            for c in 0..N {
                let q = (*x.add(i * stride + c)).q.as_ptr().add(16 * half + 4 * j);
                let q = q.cast::<[i8; 4]>().read();
                for g in 0..G {
                    dots[g][c] = if matches!(S::OFFSET, Offset::Wide) {
                        isa.dot_u8(dots[g][c], w[g], q)
                    } else {
                        isa.dot_u7(dots[g][c], w[g], q)
                    };
                }
            }
        }
    }
    dots
}
