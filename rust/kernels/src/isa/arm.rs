//! AArch64: NEON with the int8 dot product, and with the one of unsigned by signed bytes (i8mm).

use std::arch::aarch64::*;
use std::simd::prelude::*;

use super::{B, F, I, Isa, portable};

/// NEON and `sdot`.
#[derive(Clone, Copy)]
pub struct Dotprod(pub(super) ());

/// The same and `usdot`, of the int8 matrix extension.
#[derive(Clone, Copy)]
pub struct I8mm(pub(super) ());

// No closures below: they would not take on the features of the entry.

/// `acc[i] + w[4i..4i + 4] · x` for signed bytes.
///
/// # Safety
/// The CPU has the dot product.
#[inline(always)]
unsafe fn dot_signed(acc: I, w: B, x: int8x16_t) -> I {
    // SAFETY: the caller's condition; the arrays have the same sizes as the vectors.
    unsafe {
        let acc: [int32x4_t; 4] = std::mem::transmute(acc);
        let w: [int8x16_t; 4] = std::mem::transmute(w);
        std::mem::transmute([
            vdotq_s32(acc[0], w[0], x),
            vdotq_s32(acc[1], w[1], x),
            vdotq_s32(acc[2], w[2], x),
            vdotq_s32(acc[3], w[3], x),
        ])
    }
}

/// Four bytes, four times.
#[inline(always)]
fn broadcast(x: [i8; 4]) -> int8x16_t {
    let x = i32::from_le_bytes([x[0] as u8, x[1] as u8, x[2] as u8, x[3] as u8]);
    // SAFETY: every AArch64 CPU that this is compiled for has NEON.
    unsafe { vreinterpretq_s8_s32(vdupq_n_s32(x)) }
}

/// What both levels have in common.
macro_rules! common {
    () => {
        const TILE_COLUMNS: usize = 4;
        const TILE_GROUPS: usize = 1;
        const FLOAT_VECTORS: usize = 1;

        #[inline(always)]
        fn fma(self, a: F, b: F, c: F) -> F {
            use std::simd::StdFloat;
            a.mul_add(b, c)
        }

        #[inline(always)]
        fn lookup(self, table: u8x16, index: B) -> B {
            // SAFETY: NEON is part of the level; the arrays have the same sizes as the vectors.
            unsafe {
                let index: [uint8x16_t; 4] = std::mem::transmute(index);
                let table = table.into();
                std::mem::transmute([
                    vqtbl1q_u8(table, index[0]),
                    vqtbl1q_u8(table, index[1]),
                    vqtbl1q_u8(table, index[2]),
                    vqtbl1q_u8(table, index[3]),
                ])
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
    };
}

impl Isa for Dotprod {
    common!();

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        // SAFETY: a `Dotprod` exists only where it was detected; bytes of at most 127 mean the same
        // signed.
        unsafe { dot_signed(acc, w, broadcast(x)) }
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        // w = (w - 128) + 128, the first of which is signed.
        let sum = i32::from(x[0]) + i32::from(x[1]) + i32::from(x[2]) + i32::from(x[3]);
        // SAFETY: a `Dotprod` exists only where it was detected.
        unsafe { dot_signed(acc + I::splat(128 * sum), w ^ B::splat(128), broadcast(x)) }
    }
}

impl Isa for I8mm {
    common!();

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        self.dot_u8(acc, w, x)
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        let x = broadcast(x);
        // SAFETY: an `I8mm` exists only where it was detected; the arrays have the same sizes as the
        // vectors.
        unsafe {
            let acc: [int32x4_t; 4] = std::mem::transmute(acc);
            let w: [uint8x16_t; 4] = std::mem::transmute(w);
            std::mem::transmute([
                vusdotq_s32(acc[0], w[0], x),
                vusdotq_s32(acc[1], w[1], x),
                vusdotq_s32(acc[2], w[2], x),
                vusdotq_s32(acc[3], w[3], x),
            ])
        }
    }
}
