//! 256 weights of 2 bits in 16 groups: `w = d * (scale[g] + 1/2) / 4 * magnitude * sign`, as IQ2_XXS
//! with a table of 1024 and a sign for every weight.

use std::ops::Range;
use std::simd::prelude::*;

use super::bits::{field, to_dwords};
use super::grid::{Eights, Signs, biased, indices, points, with_sign};
use super::iq2_xxs::MAGNITUDES;
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};

static TABLE: Eights<1024> = Eights::new(&points::IQ2_S, biased(MAGNITUDES));

/// Weights `8 e..8 e + 8` have a point, whose low bits are byte `e` of `low` and whose two upper ones
/// are in byte `e / 4` of `high`, the first of four the lowest. Byte `g / 2` of `scales` holds group
/// `g`'s scale, in the low half for even `g`.
#[repr(C)]
pub struct Iq2S {
    d: [u8; 2],
    low: [u8; 32],
    signs: [u8; 32],
    high: [u8; 8],
    scales: [u8; 8],
}
const _: () = assert!(size_of::<Iq2S>() == 82);

// SAFETY: bytes only.
unsafe impl Block for Iq2S {
    const GGML_ID: u32 = 22;
    const NAME: &'static str = "IQ2_S";
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        for (e, out) in out.chunks_exact_mut(8).enumerate() {
            let scale = self.scales[e / 4] >> (e / 2 % 2 * 4) & 15;
            let scale = d * (f32::from(scale) + 0.5) * 0.25;
            let high = self.high[e / 4] >> (e % 4 * 2) & 3;
            let point = points::IQ2_S[usize::from(high) << 8 | usize::from(self.low[e])];
            for (i, out) in out.iter_mut().enumerate() {
                let magnitude = MAGNITUDES[usize::from(point >> (2 * i) & 3)];
                *out = scale * with_sign(magnitude, self.signs[e], i);
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let d = isa.half(rows.word(0)) * F::splat(0.25);
        let [high_0, high_1, scales @ ..] = rows.dwords4(66).map(to_dwords);
        for g in 0..16 {
            let scale = field(scales[g / 8], g % 8 * 4, 4);
            out.scales[g] = d * (scale.cast() + F::splat(0.5));
        }
        for (half, high) in [high_0, high_1].into_iter().enumerate() {
            let low = rows.dwords4(2 + 16 * half).map(to_dwords);
            let signs = rows.dwords4(34 + 16 * half).map(to_dwords);
            for (part, signs) in signs.into_iter().enumerate() {
                let signs = Signs::new(signs);
                let high = field(high, 8 * part, 8).cast::<u32>();
                let high = high << Simd::splat(8) | high << Simd::splat(20);
                let index = indices(low[part], high, 2, 3);
                for (j, bytes) in TABLE.take(isa, index).into_iter().enumerate() {
                    out.bytes[32 * half + 8 * part + j] = signs.apply(j, bytes);
                }
            }
        }
    }
}
