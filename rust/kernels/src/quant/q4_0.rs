//! 32 weights of 4 bits and one scale: `w = scale * (q - 8)`.

use super::bits::move_bits;
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};
use std::ops::Range;

/// Byte `i` holds weight `i` in its low half and weight `i + 16` in its high half.
#[repr(C)]
pub struct Q4_0 {
    scale: [u8; 2],
    packed: [u8; 16],
}
const _: () = assert!(size_of::<Q4_0>() == 18);

// SAFETY: bytes only.
unsafe impl Block for Q4_0 {
    const GGML_ID: u32 = 2;
    const NAME: &'static str = "Q4_0";
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let scale = half(self.scale);
        for (i, byte) in self.packed.iter().enumerate() {
            out[i] = scale * (f32::from(byte & 15) - 8.0);
            out[i + 16] = scale * (f32::from(byte >> 4) - 8.0);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        out.scales[0] = isa.half(rows.word(0)) * F::splat(0.125);
        for (j, packed) in rows.dwords4(2).into_iter().enumerate() {
            out.bytes[j] = move_bits(packed, 0, 3, 4);
            out.bytes[j + 4] = move_bits(packed, 4, 3, 4);
        }
    }
}
