//! 32 weights in the OCP microscaling format: floats of 4 bits (E2M1) and a power of two (E8M0),
//! `w = 2^(exponent - 128) * VALUES[q]`.
//!
//! The values are doubled to be whole and the power halved for it. The exponent 255, NaN in the
//! specification, is taken as a number like the others, as other GGUF programs do.

use std::simd::Select;
use std::simd::prelude::*;

use super::bits::{high_nibbles, low_nibbles};
use super::{Block, Offset, Rows, Unpacked};
use crate::isa::{F, Isa};
use std::ops::Range;

/// Twice what the 16 floats stand for.
pub const VALUES: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// The same plus 64.
pub const BYTES: u8x16 =
    u8x16::from_array([64, 65, 66, 67, 68, 70, 72, 76, 64, 63, 62, 61, 60, 58, 56, 52]);

/// Byte `i` holds weight `i` in its low half and weight `i + 16` in its high half.
#[repr(C)]
pub struct Mxfp4 {
    exponent: u8,
    packed: [u8; 16],
}
const _: () = assert!(size_of::<Mxfp4>() == 17);

// SAFETY: bytes only.
unsafe impl Block for Mxfp4 {
    const GGML_ID: u32 = 39;
    const NAME: &'static str = "MXFP4";
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..1);

    fn dequantize(&self, out: &mut [f32]) {
        let scale = 2f64.powi(i32::from(self.exponent) - 128) as f32;
        for (i, byte) in self.packed.iter().enumerate() {
            out[i] = scale * f32::from(VALUES[usize::from(byte & 15)]);
            out[i + 16] = scale * f32::from(VALUES[usize::from(byte >> 4)]);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        out.scales[0] = power(rows.byte(0).cast());
        for (j, packed) in rows.dwords4(1).into_iter().enumerate() {
            out.bytes[j] = isa.lookup(BYTES, low_nibbles(packed));
            out.bytes[j + 4] = isa.lookup(BYTES, high_nibbles(packed));
        }
    }
}

/// `2^(exponent - 128)`, of which the two least are subnormal.
#[inline(always)]
fn power(exponent: u32x16) -> F {
    let one = Simd::splat(1);
    let normal = (exponent - one) << Simd::splat(23);
    let subnormal = (exponent + one) << Simd::splat(21);
    F::from_bits(exponent.simd_le(one).select(subnormal, normal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_exact() {
        for exponent in 0..256 {
            let expected = 2f64.powi(exponent - 128);
            let power = power(u32x16::splat(exponent as u32));
            assert_eq!(f64::from(power[0]), expected, "{exponent}");
        }
    }

    #[test]
    fn bytes_are_the_values_plus_the_bias() {
        for (byte, value) in BYTES.to_array().into_iter().zip(VALUES) {
            assert_eq!(i16::from(byte) - 64, i16::from(value));
        }
    }
}
