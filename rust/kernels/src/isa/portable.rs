//! What every CPU has: plain `std::simd`, and the meaning of the operations.

use std::simd::Select;
use std::simd::prelude::*;

use super::{B, F, I, Isa};

#[derive(Clone, Copy)]
pub struct Portable;

impl Isa for Portable {
    const TILE_COLUMNS: usize = 2;
    const TILE_GROUPS: usize = 1;
    const FLOAT_VECTORS: usize = 1;

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        dot(acc, w, x)
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        dot(acc, w, x)
    }

    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        a * b + c
    }

    #[inline(always)]
    fn lookup(self, table: u8x16, index: B) -> B {
        let mut out = B::splat(0);
        for i in 0..64 {
            out[i] = table[usize::from(index[i] & 15)];
        }
        out
    }

    #[inline(always)]
    fn half(self, bits: u16x16) -> F {
        half(bits)
    }

    #[inline(always)]
    fn to_half(self, x: F) -> u16x16 {
        to_half(x)
    }
}

/// The integer dot product, byte by byte of each group.
#[inline(always)]
fn dot(acc: I, w: B, x: [i8; 4]) -> I {
    // SAFETY: the same 64 bytes, and every bit pattern is a u32.
    let w: u32x16 = unsafe { std::mem::transmute(w) };
    let mut acc = acc;
    for (j, x) in x.into_iter().enumerate() {
        let w = (w >> Simd::splat(8 * j as u32)) & Simd::splat(255);
        acc += w.cast::<i32>() * I::splat(i32::from(x));
    }
    acc
}

/// Exact for every half: subnormals by the multiplication, infinities and NaN by the mask.
#[inline(always)]
pub fn half(bits: u16x16) -> F {
    let b = bits.cast::<u32>();
    let magnitude = (b & Simd::splat(0x7fff)) << Simd::splat(13);
    let scaled = F::from_bits(magnitude) * F::splat(f32::from_bits(0x7780_0000));
    let special = (b & Simd::splat(0x7c00)).simd_eq(Simd::splat(0x7c00));
    let magnitude = special.select(magnitude | Simd::splat(0x7f80_0000), scaled.to_bits());
    F::from_bits(magnitude | (b & Simd::splat(0x8000)) << Simd::splat(16))
}

/// Round to nearest even by adding a constant that pushes the lost bits out of the mantissa.
#[inline(always)]
pub fn to_half(x: F) -> u16x16 {
    let bits = x.to_bits();
    let sign = (bits >> Simd::splat(16)) & Simd::splat(0x8000);
    let magnitude = bits & Simd::splat(0x7fff_ffff);
    let is_nan = magnitude.simd_gt(Simd::splat(0x7f80_0000));
    // Normal halves: drop 13 bits with rounding and move the exponent's offset from 127 to 15.
    let odd = (magnitude >> Simd::splat(13)) & Simd::splat(1);
    let normal = (magnitude + Simd::splat(0xfff) + odd - Simd::splat(112 << 23)) >> Simd::splat(13);
    // Subnormal halves: 0.5 has its last mantissa bit at 2^-24, the unit of a subnormal half.
    let small = (F::from_bits(magnitude) + F::splat(0.5)).to_bits() - Simd::splat(0x3f00_0000);
    let half = magnitude.simd_lt(Simd::splat(113 << 23)).select(small, normal);
    let half = magnitude.simd_ge(Simd::splat(0x477f_f000)).select(Simd::splat(0x7c00), half);
    let half = is_nan.select(Simd::splat(0x7e00), half);
    (half | sign).cast()
}
