//! 256 weights of 2 bits in eight groups: `w = d * (scale[g] + 1/2) / 4 * magnitude * sign`.
//!
//! Eight magnitudes are a point of a table of 256; of eight weights an even number is negative.

use std::ops::Range;
use std::simd::prelude::*;

use super::bits::{field, to_dwords};
use super::grid::{Eights, Signs, biased, even_signs, indices, points, spread_sevens, with_sign};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};

/// What the three numbers of a point stand for, here and in IQ2_XS and IQ2_S.
pub const MAGNITUDES: [u8; 3] = [8, 25, 43];

static TABLE: Eights<256> = Eights::new(&points::IQ2_XXS, biased(MAGNITUDES));

/// A group is four bytes, its points, and a number of 32 bits: four times seven signs and, on top,
/// the scale.
#[repr(C)]
pub struct Iq2Xxs {
    d: [u8; 2],
    groups: [([u8; 4], [u8; 4]); 8],
}
const _: () = assert!(size_of::<Iq2Xxs>() == 66);

// SAFETY: bytes only.
unsafe impl Block for Iq2Xxs {
    const GGML_ID: u32 = 16;
    const NAME: &'static str = "IQ2_XXS";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        for ((indices, tail), out) in self.groups.iter().zip(out.chunks_exact_mut(32)) {
            let tail = u32::from_le_bytes(*tail);
            let scale = d * ((tail >> 28) as f32 + 0.5) * 0.25;
            for (e, &index) in indices.iter().enumerate() {
                let point = points::IQ2_XXS[usize::from(index)];
                let signs = even_signs((tail >> (7 * e) & 127) as u8);
                for i in 0..8 {
                    let magnitude = MAGNITUDES[usize::from(point >> (2 * i) & 3)];
                    out[8 * e + i] = scale * with_sign(magnitude, signs, i);
                }
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let d = isa.half(rows.word(0)) * F::splat(0.25);
        for pair in 0..4 {
            let [first, first_tail, second, second_tail] =
                rows.dwords4(2 + 16 * pair).map(to_dwords);
            for (g, index, tail) in
                [(2 * pair, first, first_tail), (2 * pair + 1, second, second_tail)]
            {
                out.scales[g] = d * (field(tail, 28, 4).cast() + F::splat(0.5));
                let signs = Signs::even(isa, spread_sevens(tail));
                let index = indices(index, Simd::splat(0), 0, 0);
                for (j, bytes) in TABLE.take(isa, index).into_iter().enumerate() {
                    out.bytes[8 * g + j] = signs.apply(j, bytes);
                }
            }
        }
    }
}
