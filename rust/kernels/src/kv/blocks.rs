//! Numbers in blocks of 32 with a scale, as ggml quantizes a head's keys and values of one position.
//!
//! The scales come first, in half precision, `[blocks of keys and values][64]`. The codes of a block are
//! in some rows, of a byte for each position: keys `[rows of all blocks][64]`, values
//! `[64][rows of all blocks]`. A last block that is not whole is filled up with zeros, which are not
//! stored beyond whole vectors of values.

use std::marker::PhantomData;
use std::simd::num::SimdFloat;
use std::simd::prelude::*;

use super::{Format, KvShape, PAGE, Part};
use crate::isa::{F, Isa, LANES};

/// Numbers of a block.
const BLOCK: usize = 32;

/// All of a kind.
pub struct Blocks<C>(PhantomData<C>);

/// What the numbers of a block become.
pub trait Code: 'static {
    /// Rows of a whole block; number `i` of a block is in row `i % ROWS`, at place `i / ROWS` of its
    /// byte.
    const ROWS: usize;
    /// The scale, and what a number is to be divided by, of a block whose largest magnitude has the
    /// number `largest`; not 0.
    fn scale(largest: f32) -> f32;
    /// The codes of numbers already divided by the scale, as bits; must be `#[inline(always)]`.
    fn encode(x: F) -> Simd<u8, LANES>;
    /// What the codes at a place of the bytes say; must be `#[inline(always)]`.
    fn decode(bytes: Simd<u8, LANES>, place: usize) -> F;
}

/// 8 bits, as Q8_0.
pub struct Eight;

impl Code for Eight {
    const ROWS: usize = 32;
    #[inline(always)]
    fn scale(largest: f32) -> f32 {
        largest.abs() / 127.0
    }
    #[inline(always)]
    fn encode(x: F) -> Simd<u8, LANES> {
        // A conversion cuts off: halves go away from zero.
        (x + F::splat(0.5).copysign(x)).cast::<i32>().cast::<u8>()
    }
    #[inline(always)]
    fn decode(bytes: Simd<u8, LANES>, _: usize) -> F {
        bytes.cast::<i8>().cast::<i32>().cast::<f32>()
    }
}

/// 4 bits, as Q4_0: the largest magnitude becomes -8.
pub struct Four;

impl Code for Four {
    const ROWS: usize = 16;
    #[inline(always)]
    fn scale(largest: f32) -> f32 {
        largest / -8.0
    }
    #[inline(always)]
    fn encode(x: F) -> Simd<u8, LANES> {
        (x + F::splat(8.5)).cast::<i32>().simd_min(Simd::splat(15)).cast::<u8>()
    }
    #[inline(always)]
    fn decode(bytes: Simd<u8, LANES>, place: usize) -> F {
        let codes = (bytes.cast::<i32>() >> Simd::splat(4 * place as i32)) & Simd::splat(15);
        codes.cast::<f32>() - F::splat(8.0)
    }
}

/// Where the parts of a part are.
impl<C: Code> Blocks<C> {
    /// The row of a number.
    #[inline(always)]
    fn row(dim: usize) -> usize {
        dim / BLOCK * C::ROWS + dim % C::ROWS
    }

    /// The place in its byte.
    #[inline(always)]
    fn place(dim: usize) -> usize {
        dim % BLOCK / C::ROWS
    }

    /// Rows of so many numbers.
    #[inline(always)]
    fn rows(dims: usize) -> usize {
        dims / BLOCK * C::ROWS + (dims % BLOCK).min(C::ROWS)
    }

    /// Scales of the keys, and of both.
    #[inline(always)]
    fn counts(shape: KvShape) -> [usize; 2] {
        let keys = shape.k_dim.div_ceil(BLOCK) * PAGE;
        [keys, keys + shape.v_dim.div_ceil(BLOCK) * PAGE]
    }

    /// The scale of a key's number, and of a value's.
    #[inline(always)]
    fn key_scale(dim: usize, place: usize) -> usize {
        dim / BLOCK * PAGE + place
    }
    #[inline(always)]
    fn value_scale(shape: KvShape, place: usize, dim: usize) -> usize {
        Self::counts(shape)[0] + dim / BLOCK * PAGE + place
    }

    /// The byte of a key's number, and of a value's.
    #[inline(always)]
    fn key_at(shape: KvShape, dim: usize, place: usize) -> usize {
        Self::counts(shape)[1] * size_of::<u16>() + Self::row(dim) * PAGE + place
    }
    #[inline(always)]
    fn value_at(shape: KvShape, place: usize, dim: usize) -> usize {
        let keys = Self::key_at(shape, 0, 0) + Self::rows(shape.k_dim) * PAGE;
        keys + place * Self::rows(shape.padded_v()) + Self::row(dim)
    }
}

/// A block's scale and its bytes.
#[inline(always)]
fn encode<C: Code, A: Isa>(isa: A, x: &[f32]) -> (u16, [Simd<u8, LANES>; 2]) {
    let halves = [F::load_or_default(x), F::load_or_default(&x[x.len().min(LANES)..])];
    // Of magnitudes that are equal the first counts, as in ggml.
    let mut largest = 0.0f32;
    for &x in x {
        if x.abs() > largest.abs() {
            largest = x;
        }
    }
    let scale = C::scale(largest);
    let inverse = F::splat(if scale == 0.0 { 0.0 } else { 1.0 / scale });
    let [mut first, second] = halves.map(|x| C::encode(x * inverse));
    if C::ROWS == LANES {
        first |= second << Simd::splat(4);
    }
    (isa.to_half(F::splat(scale))[0], [first, second])
}

impl<C: Code> Format for Blocks<C> {
    const PRECISE: bool = false;

    fn bytes(shape: KvShape) -> usize {
        Self::value_at(shape, PAGE, 0)
    }

    #[inline(always)]
    unsafe fn store<A: Isa>(
        isa: A,
        part: *mut u8,
        shape: KvShape,
        place: usize,
        k: &[f32],
        v: &[f32],
    ) {
        let scales = part.cast::<u16>();
        for (j, k) in k.chunks(BLOCK).enumerate() {
            let dim = j * BLOCK;
            let (scale, codes) = encode::<C, A>(isa, k);
            // SAFETY: inside the part, by the caller's condition.
            unsafe {
                scales.add(Self::key_scale(dim, place)).write(scale);
                let to = part.add(Self::key_at(shape, dim, place));
                for i in 0..k.len().min(C::ROWS) {
                    to.add(i * PAGE).write(codes[i / LANES][i % LANES]);
                }
            }
        }
        for (j, v) in v.chunks(BLOCK).enumerate() {
            let dim = j * BLOCK;
            let (scale, codes) = encode::<C, A>(isa, v);
            // SAFETY: as above; rows of values are whole vectors.
            unsafe {
                scales.add(Self::value_scale(shape, place, dim)).write(scale);
                let to = part.add(Self::value_at(shape, place, dim));
                for i in 0..v.len().min(C::ROWS).div_ceil(LANES) {
                    to.add(i * LANES).cast::<[u8; LANES]>().write(codes[i].to_array());
                }
            }
        }
    }

    fn n_scales(shape: KvShape) -> usize {
        Self::counts(shape)[1]
    }

    #[inline(always)]
    unsafe fn scales<A: Isa>(isa: A, part: *const u8, _: KvShape, to: &mut [f32]) {
        let scales = part.cast::<[u16; LANES]>();
        for (i, to) in to.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            // SAFETY: the scales are at the beginning.
            *to = isa.half(Simd::from_array(unsafe { scales.add(i).read() })).to_array();
        }
    }

    #[inline(always)]
    unsafe fn key<A: Isa>(_: A, part: Part, shape: KvShape, dim: usize, place: usize) -> F {
        // SAFETY: inside the part and its scales, by the caller's condition.
        let (codes, scales) = unsafe {
            (
                part.bytes.add(Self::key_at(shape, dim, place)).cast::<[u8; LANES]>().read(),
                part.scales.add(Self::key_scale(dim, place)).cast::<[f32; LANES]>().read(),
            )
        };
        C::decode(Simd::from_array(codes), Self::place(dim)) * F::from_array(scales)
    }

    #[inline(always)]
    unsafe fn value<A: Isa>(_: A, part: Part, shape: KvShape, place: usize, dim: usize) -> F {
        // SAFETY: as above.
        let (codes, scale) = unsafe {
            (
                part.bytes.add(Self::value_at(shape, place, dim)).cast::<[u8; LANES]>().read(),
                part.scales.add(Self::value_scale(shape, place, dim)).read(),
            )
        };
        C::decode(Simd::from_array(codes), Self::place(dim)) * F::splat(scale)
    }
}
