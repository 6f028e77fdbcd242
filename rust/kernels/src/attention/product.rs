//! The matrix product of attention.
//!
//! Its matrices have cells of 32 bits along the inner dimension: floats, or pairs of bfloat16.

use std::simd::prelude::*;

use crate::isa::{F, Isa, LANES, P};

/// Rows of a block.
const HEIGHT: usize = 6;

/// Row-major matrices: `a` is rows × `depth`, `b` is `depth` × `width`, `c` is rows × `width`.
#[derive(Clone, Copy)]
pub struct Product {
    pub a: *const u32,
    pub a_stride: usize,
    pub b: *const u32,
    pub c: *mut f32,
    /// A multiple of 16.
    pub width: usize,
    pub depth: usize,
}

/// `c[r] = c[r] * factors[r] + a[r] b`, or without factors, `c[r] = a[r] b`. Every number is added up
/// in the order of the inner dimension.
///
/// # Safety
/// The matrices are where `p` says, with `n` rows, and `c` is used by no other thread.
#[inline(always)]
pub unsafe fn product<A: Isa, const PAIRS: bool>(
    isa: A,
    p: Product,
    n: usize,
    factors: Option<&[f32]>,
) {
    let mut column = 0;
    while column < p.width {
        let left = (p.width - column) / LANES;
        // SAFETY: the caller's condition; columns are inside.
        column += unsafe {
            match A::FLOAT_VECTORS {
                4 if left >= 4 => strip::<A, PAIRS, 4>(isa, p, n, column, factors),
                4 if left >= 2 => strip::<A, PAIRS, 2>(isa, p, n, column, factors),
                _ => strip::<A, PAIRS, 1>(isa, p, n, column, factors),
            }
        };
    }
}

/// `V` vectors of columns of all rows; returns how many columns.
///
/// # Safety
/// As for [`product`]; the columns exist.
#[inline(always)]
unsafe fn strip<A: Isa, const PAIRS: bool, const V: usize>(
    isa: A,
    p: Product,
    n: usize,
    column: usize,
    factors: Option<&[f32]>,
) -> usize {
    let mut row = 0;
    while row < n {
        // Blocks of about the same height, as few as can be.
        let height = (n - row).div_ceil((n - row).div_ceil(HEIGHT));
        let factors = factors.map(|f| &f[row..row + height]);
        // SAFETY: the caller's condition; rows are inside.
        unsafe {
            match height {
                1 => block::<A, PAIRS, 1, V>(isa, p, row, column, factors),
                2 => block::<A, PAIRS, 2, V>(isa, p, row, column, factors),
                3 => block::<A, PAIRS, 3, V>(isa, p, row, column, factors),
                4 => block::<A, PAIRS, 4, V>(isa, p, row, column, factors),
                5 => block::<A, PAIRS, 5, V>(isa, p, row, column, factors),
                _ => block::<A, PAIRS, HEIGHT, V>(isa, p, row, column, factors),
            }
        }
        row += height;
    }
    V * LANES
}

/// `R` rows × `V` vectors.
///
/// # Safety
/// As for [`product`]; the rows and columns exist, and there are as many factors as rows.
#[inline(always)]
unsafe fn block<A: Isa, const PAIRS: bool, const R: usize, const V: usize>(
    isa: A,
    p: Product,
    row: usize,
    column: usize,
    factors: Option<&[f32]>,
) {
    // SAFETY: the caller's condition.
    unsafe {
        let c = p.c.add(row * p.width + column);
        let mut sums = [[F::splat(0.0); V]; R];
        if let Some(factors) = factors {
            for r in 0..R {
                for v in 0..V {
                    let old = c.add(r * p.width + v * LANES).cast::<F>().read_unaligned();
                    sums[r][v] = old * F::splat(factors[r]);
                }
            }
        }
        let a = p.a.add(row * p.a_stride);
        let b = p.b.add(column);
        for i in 0..p.depth {
            let mut vectors = [P::splat(0); V];
            for v in 0..V {
                vectors[v] = b.add(i * p.width + v * LANES).cast::<P>().read_unaligned();
            }
            for r in 0..R {
                let a = P::splat(*a.add(r * p.a_stride + i));
                for v in 0..V {
                    sums[r][v] = if PAIRS {
                        isa.dot_pairs(sums[r][v], a, vectors[v])
                    } else {
                        isa.fma(F::from_bits(a), F::from_bits(vectors[v]), sums[r][v])
                    };
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                c.add(r * p.width + v * LANES).cast::<F>().write_unaligned(sums[r][v]);
            }
        }
    }
}
