//! AArch64 with the int8 dot product.

use std::arch::aarch64::*;
use std::simd::prelude::*;

use super::{B, F, I, Isa, portable};

/// NEON and `sdot`.
#[derive(Clone, Copy)]
pub struct Dotprod(pub(super) ());

impl Isa for Dotprod {
    const TILE_COLUMNS: usize = 4;
    const TILE_GROUPS: usize = 1;
    const FLOAT_VECTORS: usize = 1;

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        let x = i32::from_le_bytes(x.map(|b| b as u8));
        // SAFETY: a `Dotprod` exists only where it was detected; the arrays have the same sizes, and
        // bytes of at most 127 mean the same signed.
        unsafe {
            let (acc, w): ([int32x4_t; 4], [int8x16_t; 4]) =
                (std::mem::transmute(acc), std::mem::transmute(w));
            let x = vreinterpretq_s8_s32(vdupq_n_s32(x));
            std::mem::transmute([0, 1, 2, 3].map(|i| vdotq_s32(acc[i], w[i], x)))
        }
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        // w = (w - 128) + 128, the first of which is signed.
        let sum: i32 = x.iter().map(|&x| i32::from(x)).sum();
        let x4 = i32::from_le_bytes(x.map(|b| b as u8));
        let w = w ^ B::splat(128);
        // SAFETY: a `Dotprod` exists only where it was detected; the arrays have the same sizes.
        unsafe {
            let (acc, w): ([int32x4_t; 4], [int8x16_t; 4]) =
                (std::mem::transmute(acc + I::splat(128 * sum)), std::mem::transmute(w));
            let x = vreinterpretq_s8_s32(vdupq_n_s32(x4));
            std::mem::transmute([0, 1, 2, 3].map(|i| vdotq_s32(acc[i], w[i], x)))
        }
    }

    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        use std::simd::StdFloat;
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn lookup(self, table: u8x16, index: B) -> B {
        // SAFETY: NEON is part of the level; the arrays have the same sizes.
        unsafe {
            let index: [uint8x16_t; 4] = std::mem::transmute(index);
            std::mem::transmute(index.map(|i| vqtbl1q_u8(table.into(), i)))
        }
    }

    #[inline(always)]
    fn half(self, bits: u16x16) -> F {
        portable::half(bits)
    }

    #[inline(always)]
    fn to_half(self, x: F) -> u16x16 {
        portable::to_half(x)
    }
}
