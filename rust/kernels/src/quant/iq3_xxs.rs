//! 256 weights of 3 bits in eight groups: `w = d * (scale[g] + 1/2) / 2 * magnitude * sign`.
//!
//! Four magnitudes are a point of a table of 256; of eight weights an even number is negative.

use std::ops::Range;
use std::simd::prelude::*;

use super::bits::{field, to_dwords};
use super::grid::{Fours, Signs, biased, even_signs, indices, points, spread_sevens, with_sign};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};

/// What the eight numbers of a point stand for.
const MAGNITUDES: [u8; 8] = [4, 12, 20, 28, 36, 44, 52, 62];

static TABLE: Fours<256> = Fours::new(&points::IQ3_XXS, biased(MAGNITUDES));

/// Byte `e` of `packed` is the point of weights `4 e..4 e + 4`. A group has a number of 32 bits: four
/// times seven signs and, on top, the scale.
#[repr(C)]
pub struct Iq3Xxs {
    d: [u8; 2],
    packed: [u8; 64],
    tails: [[u8; 4]; 8],
}
const _: () = assert!(size_of::<Iq3Xxs>() == 98);

// SAFETY: bytes only.
unsafe impl Block for Iq3Xxs {
    const GGML_ID: u32 = 18;
    const NAME: &'static str = "IQ3_XXS";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        for (g, out) in out.chunks_exact_mut(32).enumerate() {
            let tail = u32::from_le_bytes(self.tails[g]);
            let scale = d * ((tail >> 28) as f32 + 0.5) * 0.5;
            for (i, out) in out.iter_mut().enumerate() {
                let point = points::IQ3_XXS[usize::from(self.packed[8 * g + i / 4])];
                let magnitude = MAGNITUDES[usize::from(point >> (i % 4 * 4) & 7)];
                let signs = even_signs((tail >> (i / 8 * 7) & 127) as u8);
                *out = scale * with_sign(magnitude, signs, i % 8);
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let d = isa.half(rows.word(0)) * F::splat(0.5);
        let tails = [rows.dwords4(66), rows.dwords4(82)];
        for quarter in 0..4 {
            let packed = rows.dwords4(2 + 16 * quarter).map(to_dwords);
            for pair in 0..2 {
                let g = 2 * quarter + pair;
                let tail = to_dwords(tails[g / 4][g % 4]);
                out.scales[g] = d * (field(tail, 28, 4).cast() + F::splat(0.5));
                let signs = Signs::even(isa, spread_sevens(tail));
                for part in 0..2 {
                    let index = indices(packed[2 * pair + part], Simd::splat(0), 0, 0);
                    for (i, bytes) in TABLE.take(isa, index).into_iter().enumerate() {
                        let j = 4 * part + i;
                        out.bytes[8 * g + j] = signs.apply(j, bytes);
                    }
                }
            }
        }
    }
}
