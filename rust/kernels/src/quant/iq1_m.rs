//! 256 weights of three values in 16 groups, shifted by an eighth by eights:
//! `w = d * (2 * scale[g] + 1) * (q - 1 ± 1/8)`, with the points of IQ1_S.

use std::ops::Range;
use std::simd::prelude::*;

use super::bits::{field, low_half, to_dwords};
use super::grid::indices;
use super::iq1_s::{TABLE, shift, weights};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};

/// Weights `8 e..8 e + 8` have a point, whose low bits are byte `e` of `low`. Half of byte `e / 2` of
/// `high`, the low half for even `e`, holds the three upper ones and the shift's sign. Of word `i` of
/// `scales`, four times three bits are the scales from `4 i` on; the four on top are part `i` of `d`,
/// the low part first.
#[repr(C)]
pub struct Iq1M {
    low: [u8; 32],
    high: [u8; 16],
    scales: [[u8; 2]; 4],
}
const _: () = assert!(size_of::<Iq1M>() == 56);

// SAFETY: bytes only.
unsafe impl Block for Iq1M {
    const GGML_ID: u32 = 29;
    const NAME: &'static str = "IQ1_M";
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..0);

    fn dequantize(&self, out: &mut [f32]) {
        let scales = self.scales.map(u16::from_le_bytes);
        let d = (0..4).fold(0, |d, i| d | scales[i] >> 12 << (4 * i));
        let d = half(d.to_le_bytes());
        for (e, out) in out.chunks_exact_mut(8).enumerate() {
            let scale = scales[e / 8] >> (e / 2 % 4 * 3) & 7;
            let scale = d * (2.0 * f32::from(scale) + 1.0);
            let high = self.high[e / 2] >> (e % 2 * 4) & 15;
            let index = u16::from(high & 7) << 8 | u16::from(self.low[e]);
            weights(index, high & 8 != 0, scale, out);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let [_, _, scales @ ..] = rows.dwords4(40).map(to_dwords);
        let nibble =
            |i: usize| (scales[i / 2] >> Simd::splat(12 + i as u32 % 2 * 16)) & Simd::splat(15);
        let d = nibble(0)
            | nibble(1) << Simd::splat(4)
            | nibble(2) << Simd::splat(8)
            | nibble(3) << Simd::splat(12);
        let d = low_half(isa, d) * F::splat(0.125);
        for g in 0..16 {
            let scale = field(scales[g / 8], g / 4 % 2 * 16 + g % 4 * 3, 3).cast::<f32>();
            out.scales[g] = d * (scale * F::splat(2.0) + F::splat(1.0));
        }
        let high = rows.dwords4(32).map(to_dwords);
        for part in 0..2 {
            let low = rows.dwords4(16 * part).map(to_dwords);
            for (i, low) in low.into_iter().enumerate() {
                let four = 4 * part + i;
                let high = field(high[four / 2], four % 2 * 16, 16).cast::<u32>();
                let upper = high << Simd::splat(8) | high << Simd::splat(16);
                let index = indices(low, upper, 4, 7);
                for (j, bytes) in TABLE.take(isa, index).into_iter().enumerate() {
                    out.bytes[8 * four + j] = bytes + shift(high, j / 2 * 4 + 3);
                }
            }
        }
    }
}
