//! 256 weights of 2 bits in 16 groups: `w = d * scale[g] * q - dmin * min[g]`.

use std::simd::prelude::*;

use super::bits::{field, high_half, low_half, move_bits, to_dwords};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::Isa;
use std::ops::Range;

/// Bits `2 s` and `2 s + 1` of byte `32 h + i` of `packed` are weight `128 h + 32 s + i`. Byte `g` of
/// `scales` holds group `g`'s scale in its low half and its min in its high half.
#[repr(C)]
pub struct Q2K {
    scales: [u8; 16],
    packed: [u8; 64],
    d: [u8; 2],
    dmin: [u8; 2],
}
const _: () = assert!(size_of::<Q2K>() == 84);

// SAFETY: bytes only.
unsafe impl Block for Q2K {
    const GGML_ID: u32 = 10;
    const NAME: &'static str = "Q2_K";
    const LEN: usize = 256;
    const GROUP: usize = 16;
    const OFFSET: Offset = Offset::Min;
    const NARROW: Option<Range<usize>> = Some(0..0);

    fn dequantize(&self, out: &mut [f32]) {
        let (d, dmin) = (half(self.d), half(self.dmin));
        for (i, out) in out.iter_mut().enumerate() {
            let scales = self.scales[i / 16];
            let q = self.packed[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            *out = d * f32::from(scales & 15) * f32::from(q) - dmin * f32::from(scales >> 4);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let tail = rows.dword(80);
        let (d, dmin) = (low_half(isa, tail), high_half(isa, tail));
        let scales = rows.dwords4(0).map(to_dwords);
        for g in 0..16 {
            let at = g % 4 * 8;
            out.scales[g] = d * field(scales[g / 4], at, 4).cast::<f32>();
            out.mins[g] = -dmin * field(scales[g / 4], at + 4, 4).cast::<f32>();
        }
        for part in 0..4 {
            for (j, packed) in rows.dwords4(16 + 16 * part).into_iter().enumerate() {
                for s in 0..4 {
                    out.bytes[part / 2 * 32 + s * 8 + part % 2 * 4 + j] =
                        move_bits(packed, 2 * s as u32, 0, 2);
                }
            }
        }
    }
}
