//! 256 weights of three values and one scale, in two bits each: `w = scale * (q - 1)`.

use super::bits::move_bits;
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{B, Isa};
use std::ops::Range;

/// Bits `2 s` and `2 s + 1` of byte `32 h + i` of `packed` are weight `128 h + 32 s + i`.
#[repr(C)]
pub struct Tq2_0 {
    packed: [u8; 64],
    scale: [u8; 2],
}
const _: () = assert!(size_of::<Tq2_0>() == 66);

// SAFETY: bytes only.
unsafe impl Block for Tq2_0 {
    const GGML_ID: u32 = 35;
    const NAME: &'static str = "TQ2_0";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(64..66);

    fn dequantize(&self, out: &mut [f32]) {
        let scale = half(self.scale);
        for (i, out) in out.iter_mut().enumerate() {
            let q = self.packed[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            *out = scale * (f32::from(q) - 1.0);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        out.scales.fill(isa.half(rows.word(64)));
        for part in 0..4 {
            for (j, packed) in rows.dwords4(16 * part).into_iter().enumerate() {
                for s in 0..4 {
                    out.bytes[part / 2 * 32 + s * 8 + part % 2 * 4 + j] =
                        move_bits(packed, 2 * s as u32, 0, 2) + B::splat(63);
                }
            }
        }
    }
}
