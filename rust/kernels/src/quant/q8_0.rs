//! 32 weights of 8 bits and one scale: `w = scale * q`, `q` being signed.

use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{B, Isa};
use std::ops::Range;

/// Byte `i` is weight `i`.
#[repr(C)]
pub struct Q8_0 {
    scale: [u8; 2],
    numbers: [i8; 32],
}
const _: () = assert!(size_of::<Q8_0>() == 34);

// SAFETY: bytes only.
unsafe impl Block for Q8_0 {
    const GGML_ID: u32 = 8;
    const NAME: &'static str = "Q8_0";
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Wide;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let scale = half(self.scale);
        for (out, &q) in out.iter_mut().zip(&self.numbers) {
            *out = scale * f32::from(q);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        out.scales[0] = isa.half(rows.word(0));
        for part in 0..2 {
            for (j, numbers) in rows.dwords4(2 + 16 * part).into_iter().enumerate() {
                // The other sign bit adds 128.
                out.bytes[4 * part + j] = numbers ^ B::splat(128);
            }
        }
    }
}
