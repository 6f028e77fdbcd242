//! 32 weights of 4 bits, a scale and a minimum: `w = scale * q + min`.

use super::bits::{high_half, high_nibbles, low_half, low_nibbles};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::Isa;
use std::ops::Range;

/// Byte `i` holds weight `i` in its low half and weight `i + 16` in its high half.
#[repr(C)]
pub struct Q4_1 {
    scale: [u8; 2],
    min: [u8; 2],
    packed: [u8; 16],
}
const _: () = assert!(size_of::<Q4_1>() == 20);

// SAFETY: bytes only.
unsafe impl Block for Q4_1 {
    const GGML_ID: u32 = 3;
    const NAME: &'static str = "Q4_1";
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Min;
    const NARROW: Option<Range<usize>> = Some(0..0);

    fn dequantize(&self, out: &mut [f32]) {
        let (scale, min) = (half(self.scale), half(self.min));
        for (i, byte) in self.packed.iter().enumerate() {
            out[i] = scale * f32::from(byte & 15) + min;
            out[i + 16] = scale * f32::from(byte >> 4) + min;
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let head = rows.dword(0);
        out.scales[0] = low_half(isa, head);
        out.mins[0] = high_half(isa, head);
        for (j, packed) in rows.dwords4(4).into_iter().enumerate() {
            out.bytes[j] = low_nibbles(packed);
            out.bytes[j + 4] = high_nibbles(packed);
        }
    }
}
