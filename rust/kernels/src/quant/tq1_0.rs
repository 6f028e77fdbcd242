//! 256 weights of three values and one scale, five in a byte: `w = scale * (q - 1)`.
//!
//! A byte is a fraction of 256 whose first ternary digits are the weights: digit `s` is the whole part
//! of three times what is left of the byte after multiplying by `3^s`.

use std::simd::Select;
use std::simd::prelude::*;

use super::bits::to_bytes;
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{B, Isa};
use std::ops::Range;

/// Digit `s` of byte `i` is weight `32 s + i` for the first 32 bytes, `160 + 16 s + i` for the next 16,
/// and `240 + 4 s + i` for the last four, which have four digits.
#[repr(C)]
pub struct Tq1_0 {
    packed: [u8; 52],
    scale: [u8; 2],
}
const _: () = assert!(size_of::<Tq1_0>() == 54);

// SAFETY: bytes only.
unsafe impl Block for Tq1_0 {
    const GGML_ID: u32 = 34;
    const NAME: &'static str = "TQ1_0";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(52..54);

    fn dequantize(&self, out: &mut [f32]) {
        let scale = half(self.scale);
        for (i, out) in out.iter_mut().enumerate() {
            let (byte, digit) = match i {
                0..160 => (i % 32, i / 32),
                160..240 => (32 + i % 16, (i - 160) / 16),
                _ => (48 + i % 4, (i - 240) / 4),
            };
            let left = self.packed[byte].wrapping_mul(3u8.pow(digit as u32));
            let q = (u16::from(left) * 3) >> 8;
            *out = scale * (f32::from(q) - 1.0);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        out.scales.fill(isa.half(rows.word(52)));
        // Where the bytes are, the vector of their first digits, and the step to the next ones.
        for (offset, first, step) in [(0, 0, 8), (16, 4, 8), (32, 40, 4)] {
            for (j, mut left) in rows.dwords4(offset).into_iter().enumerate() {
                for s in 0..5 {
                    out.bytes[first + step * s + j] = digit(left);
                    left = left + left + left;
                }
            }
        }
        let mut left = to_bytes(rows.dword(48));
        for s in 0..4 {
            out.bytes[60 + s] = digit(left);
            left = left + left + left;
        }
    }
}

/// The whole part of three 256ths of every byte, plus 63.
#[inline(always)]
fn digit(x: B) -> B {
    let (zero, one) = (B::splat(0), B::splat(1));
    x.simd_ge(B::splat(86)).select(B::splat(64), B::splat(63))
        + x.simd_ge(B::splat(171)).select(one, zero)
}
