//! 32 weights of 4 bits, not evenly spaced, and one scale: `w = scale * VALUES[q]`.

use std::simd::prelude::*;

use super::bits::{high_nibbles, low_nibbles};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::Isa;
use std::ops::Range;

/// What the 16 numbers stand for.
pub const VALUES: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The same plus 128.
pub const BYTES: u8x16 = {
    let mut bytes = [0; 16];
    let mut i = 0;
    while i < 16 {
        bytes[i] = VALUES[i] as u8 ^ 128;
        i += 1;
    }
    u8x16::from_array(bytes)
};

/// Byte `i` holds weight `i` in its low half and weight `i + 16` in its high half.
#[repr(C)]
pub struct Iq4Nl {
    scale: [u8; 2],
    packed: [u8; 16],
}
const _: () = assert!(size_of::<Iq4Nl>() == 18);

// SAFETY: bytes only.
unsafe impl Block for Iq4Nl {
    const GGML_ID: u32 = 20;
    const NAME: &'static str = "IQ4_NL";
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Wide;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let scale = half(self.scale);
        for (i, byte) in self.packed.iter().enumerate() {
            out[i] = scale * f32::from(VALUES[usize::from(byte & 15)]);
            out[i + 16] = scale * f32::from(VALUES[usize::from(byte >> 4)]);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        out.scales[0] = isa.half(rows.word(0));
        for (j, packed) in rows.dwords4(2).into_iter().enumerate() {
            out.bytes[j] = isa.lookup(BYTES, low_nibbles(packed));
            out.bytes[j + 4] = isa.lookup(BYTES, high_nibbles(packed));
        }
    }
}
