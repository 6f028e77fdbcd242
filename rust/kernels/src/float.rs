//! Float weights times columns: lanes run along k.
//!
//! Of many columns a block at a time stays in the second-level cache, beside a chunk of the rows that
//! has been brought into its form once for all of them. The sums of a row and a column, 16 lanes of them,
//! are added up in the order of k whatever the tile, so a column's result does not depend on its
//! neighbours.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::simd::prelude::*;

use crate::activations::Activations;
use crate::isa::{F, Isa, LANES, P, prefetch_l2};
use crate::quant::Float;
use crate::raw::RawMut;

/// Up to how many columns go straight through the weights as they are.
const FEW: usize = 16;
/// Vectors of a row that are brought into their form at a time.
const CHUNK: usize = 32;
/// Columns that share them.
const COLUMNS: usize = 96;

/// In which form weights and columns meet.
trait Form {
    /// Some numbers of a row or a column.
    type Vector: Copy + 'static;
    /// A number of a column.
    type Number: 'static;
    /// Numbers in a vector.
    const LEN: usize;
    /// Bytes of a weight.
    const BYTES: usize;

    /// Nothing.
    const NONE: Self::Vector;

    /// The first number of the first column; from one column to the next it is `k`.
    fn columns(x: &Activations) -> *const Self::Number;

    /// `LEN` weights.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn load<A: Isa>(isa: A, p: *const u8) -> Self::Vector;

    /// The sums of lanes with the products of two vectors.
    fn add<A: Isa>(isa: A, sums: F, w: Self::Vector, x: Self::Vector) -> F;

    /// Where a thread keeps its scratch.
    fn scratch<R>(f: impl FnOnce(&mut Scratch<Self::Vector>) -> R) -> R;
}

/// Floats, to which weights are converted.
struct Singles<T>(PhantomData<T>);

/// Pairs of bfloat16, which the weights are.
struct Pairs<T>(PhantomData<T>);

/// What a thread uses again.
struct Scratch<V> {
    /// A chunk of each row, `[rows][vectors]`.
    weights: Vec<V>,
    /// The lanes' sums, `[columns][rows]`.
    sums: Vec<F>,
}

impl<V> Scratch<V> {
    const EMPTY: Self = Scratch { weights: Vec::new(), sums: Vec::new() };
}

impl<T: Float> Form for Singles<T> {
    type Vector = F;
    type Number = f32;
    const LEN: usize = LANES;
    const BYTES: usize = T::BYTES;
    const NONE: F = F::from_array([0.0; LANES]);

    #[inline(always)]
    fn columns(x: &Activations) -> *const f32 {
        x.floats().as_ptr()
    }

    #[inline(always)]
    unsafe fn load<A: Isa>(isa: A, p: *const u8) -> F {
        // SAFETY: the caller's condition.
        unsafe { T::load(isa, p) }
    }

    #[inline(always)]
    fn add<A: Isa>(isa: A, sums: F, w: F, x: F) -> F {
        isa.fma(w, x, sums)
    }

    fn scratch<R>(f: impl FnOnce(&mut Scratch<F>) -> R) -> R {
        thread_local! {
            static SCRATCH: RefCell<Scratch<F>> = const { RefCell::new(Scratch::EMPTY) };
        }
        SCRATCH.with_borrow_mut(f)
    }
}

impl<T: Float> Form for Pairs<T> {
    type Vector = P;
    type Number = u16;
    const LEN: usize = 2 * LANES;
    const BYTES: usize = 2;
    const NONE: P = P::from_array([0; LANES]);

    #[inline(always)]
    fn columns(x: &Activations) -> *const u16 {
        x.halves().as_ptr()
    }

    #[inline(always)]
    unsafe fn load<A: Isa>(_: A, p: *const u8) -> P {
        // SAFETY: the caller's condition.
        unsafe { p.cast::<P>().read_unaligned() }
    }

    #[inline(always)]
    fn add<A: Isa>(isa: A, sums: F, w: P, x: P) -> F {
        isa.dot_pairs(sums, w, x)
    }

    fn scratch<R>(f: impl FnOnce(&mut Scratch<P>) -> R) -> R {
        thread_local! {
            static SCRATCH: RefCell<Scratch<P>> = const { RefCell::new(Scratch::EMPTY) };
        }
        SCRATCH.with_borrow_mut(f)
    }
}

/// `out[c][r] = w[r] · x[c]` for some rows and columns. Weights that are bfloat16 are multiplied as such
/// where that is one instruction, with columns rounded to it.
///
/// # Safety
/// At `w` there are `n_rows` rows of `x.k` weights, `rows` being among them; `out` is `[x.n][n_rows]`
/// and the places of these rows and columns are used by no other thread.
#[inline(always)]
pub unsafe fn float_tile<T: Float, A: Isa>(
    isa: A,
    (w, n_rows): (*const u8, usize),
    rows: Range<usize>,
    (x, columns): (&Activations, Range<usize>),
    out: RawMut<f32>,
) {
    let job = Job { w, n_rows, x, out };
    // SAFETY: the caller's conditions.
    unsafe {
        if T::PAIRS && A::PAIRS {
            job.all::<T, Pairs<T>, A>(isa, rows, columns);
        } else {
            job.all::<T, Singles<T>, A>(isa, rows, columns);
        }
    }
}

/// The arguments of [`float_tile`].
struct Job<'a> {
    w: *const u8,
    n_rows: usize,
    x: &'a Activations,
    out: RawMut<f32>,
}

impl Job<'_> {
    /// # Safety
    /// As for [`float_tile`].
    #[inline(always)]
    unsafe fn all<T: Float, V: Form, A: Isa>(
        &self,
        isa: A,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        if columns.len() <= FEW {
            // SAFETY: the caller's conditions.
            return unsafe { self.straight::<T, V, A>(isa, rows, columns) };
        }
        // Not in a closure, which would not take on the features of the entry.
        let mut scratch = V::scratch(|scratch| std::mem::replace(scratch, Scratch::EMPTY));
        let whole = self.x.k / V::LEN;
        let end = columns.end;
        for first in columns.step_by(COLUMNS) {
            let columns = first..(first + COLUMNS).min(end);
            scratch.sums.clear();
            scratch.sums.resize(columns.len() * rows.len(), F::splat(0.0));
            for from in (0..whole).step_by(CHUNK) {
                let chunk = from..(from + CHUNK).min(whole);
                // SAFETY: the caller's conditions; the vectors are inside the rows.
                unsafe {
                    self.convert::<V, A>(isa, rows.clone(), chunk, &mut scratch.weights);
                    self.block::<V, A>(isa, columns.clone(), from, &mut scratch);
                }
            }
            for (c, sums) in columns.zip(scratch.sums.chunks_exact(rows.len())) {
                for (row, sums) in rows.clone().zip(sums) {
                    // SAFETY: the caller's conditions.
                    unsafe { self.finish::<T>(row, c, *sums, whole * V::LEN) };
                }
            }
        }
        V::scratch(|kept| *kept = scratch);
    }

    /// Brings some vectors of each row into their form.
    ///
    /// # Safety
    /// As for [`float_tile`]; the vectors are inside the rows.
    #[inline(always)]
    unsafe fn convert<V: Form, A: Isa>(
        &self,
        isa: A,
        rows: Range<usize>,
        vectors: Range<usize>,
        weights: &mut Vec<V::Vector>,
    ) {
        weights.resize(rows.len() * vectors.len(), V::NONE);
        for (row, weights) in rows.zip(weights.chunks_exact_mut(vectors.len())) {
            let first = (row * self.x.k + vectors.start * V::LEN) * V::BYTES;
            for (i, weights) in weights.iter_mut().enumerate() {
                // SAFETY: the caller's conditions.
                unsafe {
                    let at = self.w.add(first + i * V::LEN * V::BYTES);
                    *weights = V::load(isa, at);
                    // The row's next chunk.
                    prefetch_l2(at.wrapping_add(CHUNK * V::LEN * V::BYTES), V::LEN * V::BYTES);
                }
            }
        }
    }

    /// Adds the products of the chunk in the scratch, whose first vector is `from`, with some columns.
    ///
    /// # Safety
    /// As for [`float_tile`]; the scratch has the chunk of some rows and sums for these columns.
    #[inline(always)]
    unsafe fn block<V: Form, A: Isa>(
        &self,
        isa: A,
        columns: Range<usize>,
        from: usize,
        m: &mut Scratch<V::Vector>,
    ) {
        let n_rows = m.sums.len() / columns.len();
        let n = m.weights.len() / n_rows;
        for part in even_parts(columns.clone(), width::<A>()) {
            let mut row = 0;
            while row < n_rows {
                let tall = n_rows - row >= height::<A>();
                // SAFETY: rows, columns and sums of each case exist.
                row += unsafe {
                    let x = V::columns(self.x).add(part.start * self.x.k + from * V::LEN);
                    let w = m.weights.as_ptr().add(row * n);
                    let sums = m.sums.as_mut_ptr().add((part.start - columns.start) * n_rows + row);
                    let tile = Tile::<V> { w, x: (x, self.x.k), n, sums: (sums, n_rows) };
                    match (height::<A>(), tall) {
                        (4, true) => tile.wide::<A, 4>(isa, part.len()),
                        (2, true) => tile.wide::<A, 2>(isa, part.len()),
                        _ => tile.wide::<A, 1>(isa, part.len()),
                    }
                };
            }
        }
    }

    /// Few columns through rows as they are.
    ///
    /// # Safety
    /// As for [`float_tile`].
    #[inline(always)]
    unsafe fn straight<T: Float, V: Form, A: Isa>(
        &self,
        isa: A,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let parts = even_parts(columns, width::<A>());
        let mut row = rows.start;
        while row < rows.end {
            let tall = rows.end - row >= height::<A>();
            for part in parts.clone() {
                // SAFETY: the rows and the columns of each case exist.
                unsafe {
                    match (height::<A>(), tall) {
                        (4, true) => self.rows::<T, V, A, 4>(isa, row, part),
                        (2, true) => self.rows::<T, V, A, 2>(isa, row, part),
                        _ => self.rows::<T, V, A, 1>(isa, row, part),
                    }
                };
            }
            row += if tall { height::<A>() } else { 1 };
        }
    }

    /// `R` rows × up to 6 columns.
    ///
    /// # Safety
    /// As for [`float_tile`], for these rows and columns.
    #[inline(always)]
    unsafe fn rows<T: Float, V: Form, A: Isa, const R: usize>(
        &self,
        isa: A,
        row: usize,
        columns: Range<usize>,
    ) {
        let at = (row, columns.start);
        // SAFETY: the caller's conditions.
        unsafe {
            match columns.len() {
                1 => self.few::<T, V, A, R, 1>(isa, at),
                2 => self.few::<T, V, A, R, 2>(isa, at),
                3 => self.few::<T, V, A, R, 3>(isa, at),
                4 if width::<A>() == 6 => self.few::<T, V, A, R, 4>(isa, at),
                5 if width::<A>() == 6 => self.few::<T, V, A, R, 5>(isa, at),
                6 if width::<A>() == 6 => self.few::<T, V, A, R, 6>(isa, at),
                n => unreachable!("{n} columns in a tile"),
            }
        }
    }

    /// `R` rows × `N` columns.
    ///
    /// # Safety
    /// As for [`float_tile`], for these rows and columns.
    #[inline(always)]
    unsafe fn few<T: Float, V: Form, A: Isa, const R: usize, const N: usize>(
        &self,
        isa: A,
        (row, column): (usize, usize),
    ) {
        let k = self.x.k;
        let whole = k / V::LEN * V::LEN;
        let mut sums = [[F::splat(0.0); N]; R];
        // SAFETY: rows `row..row + R` and columns `column..column + N` exist, by the caller.
        unsafe {
            let w = self.w.add(row * k * V::BYTES);
            let columns = V::columns(self.x).add(column * k);
            for i in (0..whole).step_by(V::LEN) {
                let mut weights = [V::NONE; R];
                for r in 0..R {
                    let at = w.add((r * k + i) * V::BYTES);
                    weights[r] = V::load(isa, at);
                    // The rows after these come next in memory.
                    prefetch_l2(at.wrapping_add(R * k * V::BYTES), V::LEN * V::BYTES);
                }
                for c in 0..N {
                    let x = columns.add(c * k + i).cast::<V::Vector>().read_unaligned();
                    for r in 0..R {
                        sums[r][c] = V::add(isa, sums[r][c], weights[r], x);
                    }
                }
            }
            for r in 0..R {
                for c in 0..N {
                    self.finish::<T>(row + r, column + c, sums[r][c], whole);
                }
            }
        }
    }

    /// Writes a result from its lanes' sums, the weights from `whole` on added, which fill no vector.
    ///
    /// # Safety
    /// As for [`float_tile`], for this row and column.
    #[inline(always)]
    unsafe fn finish<T: Float>(&self, row: usize, column: usize, sums: F, whole: usize) {
        let k = self.x.k;
        let mut sum = add_lanes(sums);
        // SAFETY: the caller's conditions.
        unsafe {
            for i in whole..k {
                let at = self.w.add((row * k + i) * T::BYTES);
                let bytes = std::slice::from_raw_parts(at, T::BYTES);
                sum += T::dequantize(bytes) * *self.x.floats().as_ptr().add(column * k + i);
            }
            self.out.write(column * self.n_rows + row, sum);
        }
    }
}

/// Some rows of a chunk in its form and some columns.
struct Tile<V: Form> {
    w: *const V::Vector,
    /// The columns, and from one to the next.
    x: (*const V::Number, usize),
    /// Vectors in a chunk of a row.
    n: usize,
    /// The sums, and from a column's to the next one's.
    sums: (*mut F, usize),
}

impl<V: Form> Tile<V> {
    /// Adds the products of `R` rows and `n` columns, up to 6; returns `R`.
    ///
    /// # Safety
    /// They exist, and so do their sums.
    #[inline(always)]
    unsafe fn wide<A: Isa, const R: usize>(self, isa: A, n: usize) -> usize {
        // SAFETY: the caller's condition.
        unsafe {
            match n {
                1 => self.add::<A, R, 1>(isa),
                2 => self.add::<A, R, 2>(isa),
                3 => self.add::<A, R, 3>(isa),
                4 if width::<A>() == 6 => self.add::<A, R, 4>(isa),
                5 if width::<A>() == 6 => self.add::<A, R, 5>(isa),
                6 if width::<A>() == 6 => self.add::<A, R, 6>(isa),
                n => unreachable!("{n} columns in a tile"),
            }
        }
        R
    }

    /// Adds the products of `R` rows and `N` columns.
    ///
    /// # Safety
    /// They exist, and so do their sums.
    #[inline(always)]
    unsafe fn add<A: Isa, const R: usize, const N: usize>(self, isa: A) {
        let mut sums = [[F::splat(0.0); N]; R];
        // SAFETY: the caller's conditions.
        unsafe {
            for c in 0..N {
                for r in 0..R {
                    sums[r][c] = *self.sums.0.add(c * self.sums.1 + r);
                }
            }
            for i in 0..self.n {
                let mut weights = [V::NONE; R];
                for r in 0..R {
                    weights[r] = *self.w.add(r * self.n + i);
                }
                for c in 0..N {
                    let x = self.x.0.add(c * self.x.1 + i * V::LEN);
                    let x = x.cast::<V::Vector>().read_unaligned();
                    for r in 0..R {
                        sums[r][c] = V::add(isa, sums[r][c], weights[r], x);
                    }
                }
            }
            for c in 0..N {
                for r in 0..R {
                    *self.sums.0.add(c * self.sums.1 + r) = sums[r][c];
                }
            }
        }
    }
}

/// Rows of a tile.
const fn height<A: Isa>() -> usize {
    if A::FLOAT_VECTORS == 4 { 4 } else { 2 }
}

/// Columns of a tile at most.
const fn width<A: Isa>() -> usize {
    if A::FLOAT_VECTORS == 4 { 6 } else { 3 }
}

/// As few parts of up to `most` as do, of even sizes: a narrow tile has too few sums in flight.
fn even_parts(all: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let (start, n, parts) = (all.start, all.len(), all.len().div_ceil(most));
    (0..parts).map(move |i| start + n * i / parts..start + n * (i + 1) / parts)
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
