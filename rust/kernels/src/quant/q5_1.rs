//! 32 weights of 5 bits, a scale and a minimum: `w = scale * q + min`.

use super::bits::{high_half, low_half, to_dwords};
use super::q5_0::{numbers, unpack_numbers};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{F, Isa};
use std::ops::Range;

/// The numbers are packed as in Q5_0.
#[repr(C)]
pub struct Q5_1 {
    scale: [u8; 2],
    min: [u8; 2],
    high: [u8; 4],
    packed: [u8; 16],
}
const _: () = assert!(size_of::<Q5_1>() == 24);

// SAFETY: bytes only.
unsafe impl Block for Q5_1 {
    const GGML_ID: u32 = 7;
    const NAME: &'static str = "Q5_1";
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Min;
    const NARROW: Option<Range<usize>> = Some(0..0);

    fn dequantize(&self, out: &mut [f32]) {
        let (scale, min) = (half(self.scale), half(self.min));
        for (out, q) in out.iter_mut().zip(numbers(self.high, &self.packed)) {
            *out = scale * f32::from(q) + min;
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let [head, high, ..] = rows.dwords4(0).map(to_dwords);
        out.scales[0] = low_half(isa, head) * F::splat(0.25);
        out.mins[0] = high_half(isa, head);
        unpack_numbers(high, rows.dwords4(8), out.bytes);
    }
}
