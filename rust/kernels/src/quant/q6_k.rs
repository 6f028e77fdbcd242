//! 256 weights of 6 bits in 16 groups: `w = d * scale[g] * (q - 32)`, `scale[g]` being signed.

use std::simd::prelude::*;

use super::bits::{move_bits, to_dwords};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::activations::Span;
use crate::isa::{F, Isa};
use std::ops::Range;

/// Of weight `128 h + 32 s + i`, the four low bits are in byte `64 h + 32 (s % 2) + i` of `low`, in
/// its low half for `s < 2`, and the two upper ones are bits `2 s` and `2 s + 1` of byte `32 h + i`
/// of `high`.
#[repr(C)]
pub struct Q6K {
    low: [u8; 128],
    high: [u8; 64],
    scales: [i8; 16],
    d: [u8; 2],
}
const _: () = assert!(size_of::<Q6K>() == 210);

// SAFETY: bytes only.
unsafe impl Block for Q6K {
    const GGML_ID: u32 = 14;
    const NAME: &'static str = "Q6_K";
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const OFFSET: Offset = Offset::Narrow;
    const SPAN: Span = Span::Of64;
    const NARROW: Option<Range<usize>> = Some(208..210);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        for (at, out) in out.iter_mut().enumerate() {
            let (h, s, i) = (at / 128, at / 32 % 4, at % 32);
            let low = self.low[64 * h + s % 2 * 32 + i] >> (s / 2 * 4) & 15;
            let q = low | (self.high[32 * h + i] >> (2 * s) & 3) << 4;
            *out = d * f32::from(self.scales[at / 16]) * (f32::from(q) - 32.0);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let d = isa.half(rows.word(208)) * F::splat(0.5);
        for (i, scales) in rows.dwords4(192).into_iter().enumerate() {
            for byte in 0..4 {
                // To the top, and down again with the sign.
                let top = to_dwords(scales) << Simd::splat(24 - 8 * byte as u32);
                let scale = top.cast::<i32>() >> Simd::splat(24);
                out.scales[4 * i + byte] = d * scale.cast();
            }
        }
        for h in 0..2 {
            for part in 0..2 {
                let high = rows.dwords4(128 + 32 * h + 16 * part);
                for odd in 0..2 {
                    let low = rows.dwords4(64 * h + 32 * odd + 16 * part);
                    let bit = 2 * odd as u32;
                    for j in 0..4 {
                        let at = 32 * h + 8 * odd + 4 * part + j;
                        out.bytes[at] = move_bits(low[j], 0, 1, 4) | move_bits(high[j], bit, 5, 2);
                        out.bytes[at + 16] =
                            move_bits(low[j], 4, 1, 4) | move_bits(high[j], bit + 4, 5, 2);
                    }
                }
            }
        }
    }
}
