//! 256 weights of 4 bits, not evenly spaced, in eight groups: `w = d * (scale[g] - 32) * VALUES[q]`
//! with the values of IQ4_NL.

use std::simd::prelude::*;

use super::bits::{field, high_nibbles, low_half, low_nibbles, to_dwords};
use super::iq4_nl::{BYTES, VALUES};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};
use std::ops::Range;

/// Group `g` is bytes `16 g..16 g + 16` of `packed`, in the manner of IQ4_NL. Its scale's four low
/// bits are half of byte `g / 2` of `scales_low`, the low half for even `g`; the two upper ones are
/// bits `2 g` and `2 g + 1` of `scales_high`.
#[repr(C)]
pub struct Iq4Xs {
    d: [u8; 2],
    scales_high: [u8; 2],
    scales_low: [u8; 4],
    packed: [u8; 128],
}
const _: () = assert!(size_of::<Iq4Xs>() == 136);

// SAFETY: bytes only.
unsafe impl Block for Iq4Xs {
    const GGML_ID: u32 = 23;
    const NAME: &'static str = "IQ4_XS";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Wide;
    const NARROW: Option<Range<usize>> = Some(0..0);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        let (low, high) =
            (u32::from_le_bytes(self.scales_low), u16::from_le_bytes(self.scales_high));
        for (g, out) in out.chunks_exact_mut(32).enumerate() {
            let scale = (low >> (4 * g) & 15) as u8 | ((high >> (2 * g) & 3) as u8) << 4;
            let scale = d * (f32::from(scale) - 32.0);
            for (i, byte) in self.packed[16 * g..][..16].iter().enumerate() {
                out[i] = scale * f32::from(VALUES[usize::from(byte & 15)]);
                out[i + 16] = scale * f32::from(VALUES[usize::from(byte >> 4)]);
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let [head, low, ..] = rows.dwords4(0).map(to_dwords);
        let d = low_half(isa, head);
        for g in 0..8 {
            let scale = field(low, 4 * g, 4) | field(head, 16 + 2 * g, 2) << Simd::splat(4);
            out.scales[g] = d * (scale.cast() - F::splat(32.0));
            for (j, packed) in rows.dwords4(8 + 16 * g).into_iter().enumerate() {
                out.bytes[8 * g + j] = isa.lookup(BYTES, low_nibbles(packed));
                out.bytes[8 * g + 4 + j] = isa.lookup(BYTES, high_nibbles(packed));
            }
        }
    }
}
