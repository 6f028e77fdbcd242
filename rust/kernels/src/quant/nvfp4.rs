//! 64 weights in NVIDIA's format: floats of 4 bits (E2M1) and a scale of 8 bits (E4M3, without sign)
//! for every 16, `w = scale[g] / 2 * VALUES[q]` with the doubled values of MXFP4.
//!
//! The scale 127, NaN in the format, is taken as zero, as other GGUF programs do.

use std::simd::Select;
use std::simd::prelude::*;

use super::bits::{field, high_nibbles, low_nibbles};
use super::mxfp4::{BYTES, VALUES};
use super::{Block, Offset, Rows, Unpacked};
use crate::isa::{F, Isa};
use std::ops::Range;

/// Byte `8 g + i` holds weight `i` of group `g` in its low half and weight `i + 8` in its high half.
#[repr(C)]
pub struct Nvfp4 {
    scales: [u8; 4],
    packed: [u8; 32],
}
const _: () = assert!(size_of::<Nvfp4>() == 36);

// SAFETY: bytes only.
unsafe impl Block for Nvfp4 {
    const GGML_ID: u32 = 40;
    const NAME: &'static str = "NVFP4";
    const LEN: usize = 64;
    const GROUP: usize = 16;
    const OFFSET: Offset = Offset::Narrow;
    const SCALED: bool = true;
    const NARROW: Option<Range<usize>> = Some(0..0);

    fn dequantize(&self, out: &mut [f32]) {
        for (g, out) in out.chunks_exact_mut(16).enumerate() {
            let scale = half_of_e4m3(self.scales[g]);
            for (i, byte) in self.packed[8 * g..][..8].iter().enumerate() {
                out[i] = scale * f32::from(VALUES[usize::from(byte & 15)]);
                out[i + 8] = scale * f32::from(VALUES[usize::from(byte >> 4)]);
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let scales = rows.dword(0);
        for g in 0..4 {
            out.scales[g] = halves_of_e4m3(isa, field(scales, 8 * g, 8).cast());
        }
        for part in 0..2 {
            for (j, packed) in rows.dwords4(4 + 16 * part).into_iter().enumerate() {
                let at = 8 * part + j / 2 * 4 + j % 2;
                out.bytes[at] = isa.lookup(BYTES, low_nibbles(packed));
                out.bytes[at + 2] = isa.lookup(BYTES, high_nibbles(packed));
            }
        }
    }
}

/// Half the value of a float with four bits of exponent and three of mantissa.
fn half_of_e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
    match (exponent, bits) {
        (_, 127) => 0.0,
        (0, _) => mantissa * 2f32.powi(-10),
        _ => (8.0 + mantissa) * 2f32.powi(exponent - 11),
    }
}

/// The same for 16 rows. As half precision, of which it is the middle bits, the number is less by
/// the difference of the exponents' biases.
#[inline(always)]
fn halves_of_e4m3<A: Isa>(isa: A, bits: u16x16) -> F {
    let bits = bits.simd_ne(Simd::splat(127)).select(bits, Simd::splat(0));
    isa.half((bits & Simd::splat(127)) << Simd::splat(7)) * F::splat(128.0)
}
