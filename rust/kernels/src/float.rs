//! Float weights times columns: lanes run along k.

use std::ops::Range;
use std::simd::prelude::*;

use crate::activations::Activations;
use crate::isa::{F, Isa, LANES};
use crate::quant::Float;
use crate::raw::RawMut;

/// `out[c][r] = w[r] · x[c]` for some rows and all columns.
///
/// # Safety
/// At `w` there are `n_rows` rows of `x.k` weights, `rows` being among them; `out` is `[x.n][n_rows]`
/// and the places of these rows are used by no other thread.
#[inline(always)]
pub unsafe fn float_tile<T: Float, A: Isa>(
    isa: A,
    w: *const u8,
    n_rows: usize,
    rows: Range<usize>,
    x: &Activations,
    out: RawMut<f32>,
) {
    let mut row = rows.start;
    while row < rows.end {
        let tall = A::FLOAT_VECTORS == 4 && rows.end - row >= 4;
        let height = if tall { 4 } else { 1 };
        let mut column = 0;
        while column < x.n {
            let at = Corner { row, column, n_rows };
            // SAFETY: the caller's conditions; `height` rows and the columns of each case exist.
            unsafe {
                column += match (tall, x.n - column) {
                    (true, 6..) => tile::<T, A, 4, 6>(isa, w, x, out, at),
                    (true, 2..) => tile::<T, A, 4, 2>(isa, w, x, out, at),
                    (true, _) => tile::<T, A, 4, 1>(isa, w, x, out, at),
                    (false, 4..) => tile::<T, A, 1, 4>(isa, w, x, out, at),
                    (false, _) => tile::<T, A, 1, 1>(isa, w, x, out, at),
                };
            }
        }
        row += height;
    }
}

/// The first row and column of a tile.
#[derive(Clone, Copy)]
struct Corner {
    row: usize,
    column: usize,
    n_rows: usize,
}

/// `R` rows × `N` columns; returns `N`. A result's sum has the same order in every tile.
///
/// # Safety
/// As for [`float_tile`], for these rows and columns.
#[inline(always)]
unsafe fn tile<T: Float, A: Isa, const R: usize, const N: usize>(
    isa: A,
    w: *const u8,
    x: &Activations,
    out: RawMut<f32>,
    at: Corner,
) -> usize {
    let k = x.k;
    let whole = k / LANES * LANES;
    let mut sums = [[F::splat(0.0); N]; R];
    // SAFETY: rows `at.row..at.row + R` and columns `at.column..at.column + N` exist, by the caller.
    unsafe {
        let w = w.add(at.row * k * T::BYTES);
        let columns = x.floats.as_ptr().add(at.column * k);
        for i in (0..whole).step_by(LANES) {
            let mut row = [F::splat(0.0); R];
            for r in 0..R {
                row[r] = T::load(isa, w.add((r * k + i) * T::BYTES));
            }
            for c in 0..N {
                let x = columns.add(c * k + i).cast::<F>().read_unaligned();
                for r in 0..R {
                    sums[r][c] = isa.fma(row[r], x, sums[r][c]);
                }
            }
        }
        for r in 0..R {
            for c in 0..N {
                let mut sum = add_lanes(sums[r][c]);
                for i in whole..k {
                    let bytes = std::slice::from_raw_parts(w.add((r * k + i) * T::BYTES), T::BYTES);
                    sum += T::dequantize(bytes) * *columns.add(c * k + i);
                }
                out.write((at.column + c) * at.n_rows + at.row + r, sum);
            }
        }
    }
    N
}

/// The sum of the lanes, by halves.
#[inline(always)]
pub fn add_lanes(x: F) -> f32 {
    let x: f32x8 = simd_swizzle!(x, [0, 1, 2, 3, 4, 5, 6, 7])
        + simd_swizzle!(x, [8, 9, 10, 11, 12, 13, 14, 15]);
    let x: f32x4 = simd_swizzle!(x, [0, 1, 2, 3]) + simd_swizzle!(x, [4, 5, 6, 7]);
    let x = x.to_array();
    (x[0] + x[2]) + (x[1] + x[3])
}

/// The largest lane, NaN aside.
#[inline(always)]
pub fn max_lane(x: F) -> f32 {
    let x: f32x8 = simd_swizzle!(x, [0, 1, 2, 3, 4, 5, 6, 7])
        .simd_max(simd_swizzle!(x, [8, 9, 10, 11, 12, 13, 14, 15]));
    let x: f32x4 = simd_swizzle!(x, [0, 1, 2, 3]).simd_max(simd_swizzle!(x, [4, 5, 6, 7]));
    let x = x.to_array();
    x[0].max(x[2]).max(x[1].max(x[3]))
}
