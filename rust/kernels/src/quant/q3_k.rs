//! 256 weights of 3 bits in 16 groups: `w = d * (scale[g] - 32) * (q - 4)`.

use std::simd::prelude::*;

use super::bits::{field, high_half, move_bits, to_dwords};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};
use std::ops::Range;

/// The two low bits are as in Q2_K; bit `b` of byte `i` of `high` is the upper bit of weight
/// `32 b + i`. `scales` are 16 scales of 6 bits: byte `g` of the first eight holds the four low bits
/// of scale `g` in its low half and those of scale `g + 8` in its high half; bits `2 s` and `2 s + 1`
/// of byte `8 + i` are the upper bits of scale `4 s + i`.
#[repr(C)]
pub struct Q3K {
    high: [u8; 32],
    packed: [u8; 64],
    scales: [u8; 12],
    d: [u8; 2],
}
const _: () = assert!(size_of::<Q3K>() == 110);

// SAFETY: bytes only.
unsafe impl Block for Q3K {
    const GGML_ID: u32 = 11;
    const NAME: &'static str = "Q3_K";
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(108..110);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        for (i, out) in out.iter_mut().enumerate() {
            let g = i / 16;
            let low = self.scales[g % 8] >> (g / 8 * 4) & 15;
            let scale = low | (self.scales[8 + g % 4] >> (g / 4 * 2) & 3) << 4;
            let low = self.packed[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            let q = low | (self.high[i % 32] >> (i / 32) & 1) << 2;
            *out = d * (f32::from(scale) - 32.0) * (f32::from(q) - 4.0);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let (scales, d) = if PANELS {
            ([rows.dword(96), rows.dword(100), rows.dword(104)], isa.half(rows.word(108)))
        } else {
            // The last 16 bytes are two that belong to `packed`, `scales` and `d`.
            let [a, b, c, d] = rows.dwords4(94).map(to_dwords);
            let half = Simd::splat(16);
            let scales = [a >> half | b << half, b >> half | c << half, c >> half | d << half];
            (scales, high_half(isa, d))
        };
        let d = d * F::splat(0.0625);
        for g in 0..16 {
            let low = field(scales[g / 4 % 2], g % 4 * 8 + g / 8 * 4, 4);
            let high = field(scales[2], g % 4 * 8 + g / 4 * 2, 2);
            let scale = low | high << Simd::splat(4);
            out.scales[g] = d * (scale.cast() - F::splat(32.0));
        }
        for part in 0..2 {
            let high = rows.dwords4(16 * part);
            for h in 0..2 {
                let packed = rows.dwords4(32 + 32 * h + 16 * part);
                for j in 0..4 {
                    for s in 0..4 {
                        out.bytes[32 * h + 8 * s + 4 * part + j] =
                            move_bits(packed[j], 2 * s as u32, 4, 2)
                                | move_bits(high[j], (4 * h + s) as u32, 6, 1);
                    }
                }
            }
        }
    }
}
