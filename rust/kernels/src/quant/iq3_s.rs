//! 256 weights of 3 bits in eight groups: `w = d * (2 * scale[g] + 1) * magnitude * sign`.
//!
//! Four magnitudes are a point of a table of 512.

use std::ops::Range;
use std::simd::prelude::*;

use super::bits::{field, to_dwords};
use super::grid::{Fours, Signs, biased, indices, points, with_sign};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};

/// What the eight numbers of a point stand for.
const MAGNITUDES: [u8; 8] = [1, 3, 5, 7, 9, 11, 13, 15];

static TABLE: Fours<512> = Fours::new(&points::IQ3_S, biased(MAGNITUDES));

/// Weights `4 e..4 e + 4` have a point, whose low bits are byte `e` of `low` and whose upper one is
/// bit `e % 8` of byte `e / 8` of `high`. Byte `g / 2` of `scales` holds group `g`'s scale, in the low
/// half for even `g`.
#[repr(C)]
pub struct Iq3S {
    d: [u8; 2],
    low: [u8; 64],
    high: [u8; 8],
    signs: [u8; 32],
    scales: [u8; 4],
}
const _: () = assert!(size_of::<Iq3S>() == 110);

// SAFETY: bytes only.
unsafe impl Block for Iq3S {
    const GGML_ID: u32 = 21;
    const NAME: &'static str = "IQ3_S";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        for (e, out) in out.chunks_exact_mut(4).enumerate() {
            let scale = self.scales[e / 16] >> (e / 8 % 2 * 4) & 15;
            let scale = d * (2.0 * f32::from(scale) + 1.0);
            let high = self.high[e / 8] >> (e % 8) & 1;
            let point = points::IQ3_S[usize::from(high) << 8 | usize::from(self.low[e])];
            let signs = self.signs[e / 2] >> (e % 2 * 4);
            for (i, out) in out.iter_mut().enumerate() {
                let magnitude = MAGNITUDES[usize::from(point >> (4 * i) & 7)];
                *out = scale * with_sign(magnitude, signs, i);
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let d = isa.half(rows.word(0));
        let [high_0, high_1, signs_0, signs_1] = rows.dwords4(66).map(to_dwords);
        let [signs_2, signs_3, signs_4, _] = rows.dwords4(82).map(to_dwords);
        let [signs_5, signs_6, signs_7, scales] = rows.dwords4(94).map(to_dwords);
        let high = [high_0, high_1];
        let signs = [signs_0, signs_1, signs_2, signs_3, signs_4, signs_5, signs_6, signs_7];
        for quarter in 0..4 {
            let low = rows.dwords4(2 + 16 * quarter).map(to_dwords);
            for pair in 0..2 {
                let g = 2 * quarter + pair;
                let scale = field(scales, 4 * g, 4).cast::<f32>();
                out.scales[g] = d * (scale * F::splat(2.0) + F::splat(1.0));
                let signs = Signs::new(signs[g]);
                for part in 0..2 {
                    let high = field(high[g / 4], g % 4 * 8 + 4 * part, 4).cast::<u32>();
                    let high = high << Simd::splat(8) | high << Simd::splat(22);
                    let index = indices(low[2 * pair + part], high, 1, 1);
                    for (i, bytes) in TABLE.take(isa, index).into_iter().enumerate() {
                        let j = 4 * part + i;
                        out.bytes[8 * g + j] = signs.apply(j, bytes);
                    }
                }
            }
        }
    }
}
