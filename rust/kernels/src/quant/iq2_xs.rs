//! 256 weights of 2 bits in 16 groups: `w = d * (scale[g] + 1/2) / 4 * magnitude * sign`, as IQ2_XXS
//! with a table of 512.

use std::ops::Range;
use std::simd::prelude::*;

use super::bits::{field, to_dwords};
use super::grid::{Eights, Signs, biased, even_signs, points, with_sign};
use super::iq2_xxs::MAGNITUDES;
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};

static TABLE: Eights<512> = Eights::new(&points::IQ2_XS, biased(MAGNITUDES));

/// Word `e` of `packed` is weights `8 e..8 e + 8`: a point of nine bits and seven signs. Byte `g / 2`
/// of `scales` holds group `g`'s scale, in the low half for even `g`.
#[repr(C)]
pub struct Iq2Xs {
    d: [u8; 2],
    packed: [[u8; 2]; 32],
    scales: [u8; 8],
}
const _: () = assert!(size_of::<Iq2Xs>() == 74);

// SAFETY: bytes only.
unsafe impl Block for Iq2Xs {
    const GGML_ID: u32 = 17;
    const NAME: &'static str = "IQ2_XS";
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        for (e, out) in out.chunks_exact_mut(8).enumerate() {
            let scale = self.scales[e / 4] >> (e / 2 % 2 * 4) & 15;
            let scale = d * (f32::from(scale) + 0.5) * 0.25;
            let packed = u16::from_le_bytes(self.packed[e]);
            let point = points::IQ2_XS[usize::from(packed & 511)];
            let signs = even_signs((packed >> 9) as u8);
            for (i, out) in out.iter_mut().enumerate() {
                let magnitude = MAGNITUDES[usize::from(point >> (2 * i) & 3)];
                *out = scale * with_sign(magnitude, signs, i);
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let d = isa.half(rows.word(0)) * F::splat(0.25);
        let scales = [rows.dword(66), rows.dword(70)];
        for g in 0..16 {
            let scale = field(scales[g / 8], g % 8 * 4, 4);
            out.scales[g] = d * (scale.cast() + F::splat(0.5));
        }
        for pair in 0..4 {
            let packed = rows.dwords4(2 + 16 * pair).map(to_dwords);
            for part in 0..2 {
                let signs = high_sevens(packed[2 * part], packed[2 * part + 1]);
                let signs = Signs::even(isa, signs);
                let index = low_nines(packed[2 * part], packed[2 * part + 1]);
                for (j, bytes) in TABLE.take(isa, index).into_iter().enumerate() {
                    out.bytes[16 * pair + 8 * part + j] = signs.apply(j, bytes);
                }
            }
        }
    }
}

/// The lower nine bits of the words of two vectors, the first of each together.
#[inline(always)]
fn low_nines(first: u32x16, second: u32x16) -> [u32x16; 2] {
    let (sixteen, nine) = (Simd::splat(16), Simd::splat(0x1ff));
    [
        first & nine | (second & nine) << sixteen,
        (first >> sixteen) & nine | second & (nine << sixteen),
    ]
}

/// The upper seven bits of the words of two vectors as bytes.
#[inline(always)]
fn high_sevens(first: u32x16, second: u32x16) -> u32x16 {
    let pair = |x: u32x16| {
        (x >> Simd::splat(9)) & Simd::splat(0x7f) | (x >> Simd::splat(17)) & Simd::splat(0x7f00)
    };
    pair(first) | pair(second) << Simd::splat(16)
}
