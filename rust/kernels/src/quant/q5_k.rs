//! 256 weights of 5 bits in eight groups: `w = d * scale[g] * q - dmin * min[g]`.

use super::bits::{high_nibbles, low_nibbles, move_bits};
use super::q4_k::{scale_and_min, unpack_scales};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::activations::Span;
use crate::isa::Isa;
use std::ops::Range;

/// Q4_K with an upper bit: bit `g` of byte `i` of `high` belongs to weight `i` of group `g`.
#[repr(C)]
pub struct Q5K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: [u8; 12],
    high: [u8; 32],
    packed: [u8; 128],
}
const _: () = assert!(size_of::<Q5K>() == 176);

// SAFETY: bytes only.
unsafe impl Block for Q5K {
    const GGML_ID: u32 = 13;
    const NAME: &'static str = "Q5_K";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Min;
    const SPAN: Span = Span::Of64;
    const NARROW: Option<Range<usize>> = Some(0..0);

    fn dequantize(&self, out: &mut [f32]) {
        let (d, dmin) = (half(self.d), half(self.dmin));
        for (g, out) in out.chunks_exact_mut(32).enumerate() {
            let (scale, min) = scale_and_min(&self.scales, g);
            let packed = &self.packed[g / 2 * 32..];
            for (i, out) in out.iter_mut().enumerate() {
                let q = packed[i] >> (g % 2 * 4) & 15 | (self.high[i] >> g & 1) << 4;
                *out = d * f32::from(scale) * f32::from(q) - dmin * f32::from(min);
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        unpack_scales(isa, rows.dwords4(0), out.scales, out.mins);
        for part in 0..2 {
            let high = rows.dwords4(16 + 16 * part);
            for p in 0..4 {
                let packed = rows.dwords4(48 + 32 * p + 16 * part);
                for j in 0..4 {
                    let (at, bit) = (16 * p + 4 * part + j, 2 * p as u32);
                    out.bytes[at] = low_nibbles(packed[j]) | move_bits(high[j], bit, 4, 1);
                    out.bytes[at + 8] = high_nibbles(packed[j]) | move_bits(high[j], bit + 1, 4, 1);
                }
            }
        }
    }
}
