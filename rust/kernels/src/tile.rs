//! The one loop of all quantized types: 16 or 32 weight rows times a few columns.
//!
//! Weights stand as unsigned bytes `[k / 4][16 rows][4]`: a lane is a row, so nothing is summed across
//! lanes. Four activations of a column, broadcast, meet four weights of every row in one dot-product
//! instruction. A group of 16 or 32 weights is summed exactly in integers, starting at minus the
//! bias times the activations' sum, and then added to the float sum with the two scales.
//!
//! The float sums of a row and a column are added in the order of k whatever the width of the tile,
//! so a column's result does not depend on its neighbours.

use crate::activations::Activations;
use crate::isa::{B, F, I, Isa, LANES};
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

    /// Unpacks `n` blocks of each of 16 rows. `ahead` is called for every block with its number, to
    /// fetch what comes later.
    ///
    /// # Safety
    /// At `first + r * stride`, for each `r < 16`, there are `n` blocks.
    #[inline(always)]
    pub unsafe fn fill<T: Block, A: Isa>(
        &mut self,
        isa: A,
        first: *const u8,
        stride: usize,
        n: usize,
        ahead: impl Fn(usize),
    ) {
        let groups = T::LEN / T::GROUP;
        let bytes = self.bytes.chunks_exact_mut(T::LEN / 4);
        let scales = self.scales.chunks_exact_mut(groups);
        let mins = self.mins.chunks_exact_mut(groups);
        for (i, ((bytes, scales), mins)) in bytes.zip(scales).zip(mins).take(n).enumerate() {
            ahead(i);
            // SAFETY: the caller's condition.
            let rows = unsafe { Rows::<T>::new(first.add(i * size_of::<T>()), stride) };
            T::unpack(
                isa,
                rows,
                Unpacked {
                    bytes,
                    scales,
                    mins,
                },
            );
        }
    }
}

/// Where in the activations and results a tile is.
#[derive(Clone, Copy)]
pub struct Place {
    /// The first column.
    pub column: usize,
    /// The first value of the chunk, a multiple of 32.
    pub k: usize,
    /// Values in the chunk, a multiple of 32.
    pub len: usize,
    /// Results of the first column, 16 rows for each panel.
    pub out: *mut f32,
    /// From a column's results to the next one's.
    pub out_stride: usize,
}

impl Place {
    /// The results of a panel and a column.
    ///
    /// # Safety
    /// They are inside the outputs.
    #[inline(always)]
    unsafe fn result(self, g: usize, c: usize) -> *mut F {
        // SAFETY: the caller's condition.
        unsafe { self.out.add(c * self.out_stride + g * LANES).cast() }
    }
}

/// Adds the products of a chunk: `G` panels × `N` columns. The first chunk (`place.k == 0`) writes.
///
/// # Safety
/// The panels hold `place.len` unpacked values; the columns are quantized and inside `x`;
/// `16 * G` floats can be written at `place.out + c * place.out_stride` for each `c < N`.
#[inline(always)]
pub unsafe fn multiply<T: Block, A: Isa, const G: usize, const N: usize>(
    isa: A,
    panels: &[Panel],
    x: &Activations,
    place: Place,
) {
    assert!(panels.len() >= G);
    let Place { column, k, len, .. } = place;
    let mut sums = [[F::splat(0.0); N]; G];
    if k > 0 {
        for g in 0..G {
            for c in 0..N {
                // SAFETY: the caller's condition.
                sums[g][c] = unsafe { place.result(g, c).read_unaligned() };
            }
        }
    }
    assert!(column + N <= x.n && k + len <= x.k && x.bytes.len() >= x.n * x.k);
    // SAFETY: below, columns are `column..column + N` and values `k..k + len`, all inside `x` by the
    // assertion; panels hold `len` values by the caller's condition.
    unsafe {
        let bytes = x.bytes.as_ptr().add(column * x.k + k);
        let scales = x.scales.as_ptr().add(k / 32 * x.n + column);
        let minus_sums = x.minus_sums.as_ptr().add(k / 16 * x.n + column);
        let scaled_sums = x.scaled_sums.as_ptr().add(k / 16 * x.n + column);
        let per_group = T::GROUP / 16;
        for i in 0..len / T::GROUP {
            let mut dots = [[I::splat(0); N]; G];
            if let Offset::Bias(log) = T::OFFSET {
                for c in 0..N {
                    let mut sum = *minus_sums.add(i * per_group * x.n + c);
                    if per_group == 2 {
                        sum += *minus_sums.add((i * 2 + 1) * x.n + c);
                    }
                    for dots in &mut dots {
                        dots[c] = I::splat(sum << log);
                    }
                }
            }
            for j in 0..T::GROUP / 4 {
                let mut w = [B::splat(0); G];
                for g in 0..G {
                    w[g] = *panels[g].bytes.as_ptr().add(i * T::GROUP / 4 + j);
                }
                for c in 0..N {
                    let x = bytes
                        .add(c * x.k + i * T::GROUP + 4 * j)
                        .cast::<[i8; 4]>()
                        .read();
                    for g in 0..G {
                        dots[g][c] = if T::WIDE {
                            isa.dot_u8(dots[g][c], w[g], x)
                        } else {
                            isa.dot_u7(dots[g][c], w[g], x)
                        };
                    }
                }
            }
            for g in 0..G {
                let scale = *panels[g].scales.as_ptr().add(i);
                for c in 0..N {
                    let activation = F::splat(*scales.add(i * T::GROUP / 32 * x.n + c));
                    let product = float(dots[g][c]) * scale;
                    sums[g][c] = isa.fma(product, activation, sums[g][c]);
                }
                if T::OFFSET == Offset::Min {
                    let min = *panels[g].mins.as_ptr().add(i);
                    for c in 0..N {
                        let mut sum = *scaled_sums.add(i * per_group * x.n + c);
                        if per_group == 2 {
                            sum += *scaled_sums.add((i * 2 + 1) * x.n + c);
                        }
                        sums[g][c] = isa.fma(min, F::splat(sum), sums[g][c]);
                    }
                }
            }
        }
    }
    for g in 0..G {
        for c in 0..N {
            // SAFETY: the caller's condition.
            unsafe { place.result(g, c).write_unaligned(sums[g][c]) };
        }
    }
}

#[inline(always)]
fn float(x: I) -> F {
    use std::simd::num::SimdInt;
    x.cast()
}
