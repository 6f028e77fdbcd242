//! Numbers stored one by one: keys `[k_dim][64]`, values `[64][v_dim]`, rows of which are whole vectors.

use std::marker::PhantomData;
use std::simd::prelude::*;

use super::{Format, KvShape, PAGE, Part};
use crate::isa::{F, Isa, LANES, P};

/// All of a kind.
pub struct Plain<E>(PhantomData<E>);

/// How a number is stored.
pub trait Element: 'static {
    /// What stores it.
    type Bits: Copy;
    /// Whether it says more than a product of bfloat16 may lose.
    const PRECISE: bool;
    /// 16 floats to be stored; must be `#[inline(always)]`.
    fn from_floats<A: Isa>(isa: A, x: F) -> [Self::Bits; LANES];
    /// 16 stored numbers; must be `#[inline(always)]`.
    fn to_floats<A: Isa>(isa: A, x: [Self::Bits; LANES]) -> F;
}

/// Half precision.
pub struct Half;

impl Element for Half {
    type Bits = u16;
    const PRECISE: bool = false;
    #[inline(always)]
    fn from_floats<A: Isa>(isa: A, x: F) -> [u16; LANES] {
        isa.to_half(x).to_array()
    }
    #[inline(always)]
    fn to_floats<A: Isa>(isa: A, x: [u16; LANES]) -> F {
        isa.half(Simd::from_array(x))
    }
}

/// bfloat16, rounded to nearest even.
pub struct Brain;

impl Element for Brain {
    type Bits = u16;
    const PRECISE: bool = false;
    #[inline(always)]
    fn from_floats<A: Isa>(isa: A, x: F) -> [u16; LANES] {
        isa.pairs(x, F::splat(0.0)).cast::<u16>().to_array()
    }
    #[inline(always)]
    fn to_floats<A: Isa>(_: A, x: [u16; LANES]) -> F {
        F::from_bits(Simd::from_array(x).cast::<u32>() << P::splat(16))
    }
}

/// Single precision.
pub struct Single;

impl Element for Single {
    type Bits = f32;
    const PRECISE: bool = true;
    #[inline(always)]
    fn from_floats<A: Isa>(_: A, x: F) -> [f32; LANES] {
        x.to_array()
    }
    #[inline(always)]
    fn to_floats<A: Isa>(_: A, x: [f32; LANES]) -> F {
        F::from_array(x)
    }
}

/// Where a key's value and a value's value are.
#[inline(always)]
fn key_at(dim: usize, place: usize) -> usize {
    dim * PAGE + place
}
#[inline(always)]
fn value_at(shape: KvShape, place: usize, dim: usize) -> usize {
    PAGE * shape.k_dim + place * shape.padded_v() + dim
}

impl<E: Element> Format for Plain<E> {
    const PRECISE: bool = E::PRECISE;

    fn bytes(shape: KvShape) -> usize {
        PAGE * (shape.k_dim + shape.padded_v()) * size_of::<E::Bits>()
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
        let part = part.cast::<E::Bits>();
        for (j, k) in k.chunks(LANES).enumerate() {
            let k16 = E::from_floats(isa, F::load_or_default(k));
            for i in 0..k.len() {
                // SAFETY: inside the part, by the caller's condition.
                unsafe { part.add(key_at(j * LANES + i, place)).write(k16[i]) };
            }
        }
        for (j, v) in v.chunks(LANES).enumerate() {
            let v16 = E::from_floats(isa, F::load_or_default(v));
            // SAFETY: as above; rows of values are whole vectors.
            unsafe {
                part.add(value_at(shape, place, j * LANES)).cast::<[E::Bits; LANES]>().write(v16);
            }
        }
    }

    #[inline(always)]
    unsafe fn key<A: Isa>(isa: A, part: Part, _: KvShape, dim: usize, place: usize) -> F {
        // SAFETY: inside the part, by the caller's condition.
        E::to_floats(isa, unsafe {
            part.bytes.cast::<E::Bits>().add(key_at(dim, place)).cast::<[E::Bits; LANES]>().read()
        })
    }

    #[inline(always)]
    unsafe fn value<A: Isa>(isa: A, part: Part, shape: KvShape, place: usize, dim: usize) -> F {
        // SAFETY: as above.
        E::to_floats(isa, unsafe {
            let at = value_at(shape, place, dim);
            part.bytes.cast::<E::Bits>().add(at).cast::<[E::Bits; LANES]>().read()
        })
    }
}
