//! 256 weights of three values in eight groups, shifted by an eighth:
//! `w = d * (2 * scale[g] + 1) * (q - 1 ± 1/8)`.
//!
//! Eight of the `q` are a point of a table of 2048.

use std::ops::Range;
use std::simd::Select;
use std::simd::prelude::*;

use super::bits::{field, to_bytes, to_dwords};
use super::grid::{Eights, indices, points};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{B, F, Isa};

/// Eight times the values, plus 64.
pub static TABLE: Eights<2048> = Eights::new(&points::IQ1_S, [56, 64, 72]);

/// Weights `8 e..8 e + 8` have a point, whose low bits are byte `e` of `low`. Of a group's word in
/// `high`, four times three bits are its points' upper ones, then come the scale and the shift's sign.
#[repr(C)]
pub struct Iq1S {
    d: [u8; 2],
    low: [u8; 32],
    high: [[u8; 2]; 8],
}
const _: () = assert!(size_of::<Iq1S>() == 50);

// SAFETY: bytes only.
unsafe impl Block for Iq1S {
    const GGML_ID: u32 = 19;
    const NAME: &'static str = "IQ1_S";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let d = half(self.d);
        for (e, out) in out.chunks_exact_mut(8).enumerate() {
            let high = u16::from_le_bytes(self.high[e / 4]);
            let scale = d * (2.0 * f32::from(high >> 12 & 7) + 1.0);
            let index = (high >> (e % 4 * 3) & 7) << 8 | u16::from(self.low[e]);
            weights(index, high >> 15 != 0, scale, out);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let d = isa.half(rows.word(0)) * F::splat(0.125);
        let high = rows.dwords4(34).map(to_dwords);
        for part in 0..2 {
            let low = rows.dwords4(2 + 16 * part).map(to_dwords);
            for (i, low) in low.into_iter().enumerate() {
                let g = 4 * part + i;
                let high = field(high[g / 2], g % 2 * 16, 16).cast::<u32>();
                let scale = field(high, 12, 3).cast::<f32>();
                out.scales[g] = d * (scale * F::splat(2.0) + F::splat(1.0));
                let shift = shift(high, 15);
                let high = high << Simd::splat(8) | high << Simd::splat(18);
                let index = indices(low, high, 3, 7);
                for (j, bytes) in TABLE.take(isa, index).into_iter().enumerate() {
                    out.bytes[8 * g + j] = bytes + shift;
                }
            }
        }
    }
}

/// Eight weights of a point and a shift.
pub fn weights(index: u16, down: bool, scale: f32, out: &mut [f32]) {
    let point = points::IQ1_S[usize::from(index)];
    for (i, out) in out.iter_mut().enumerate() {
        let q = f32::from(point >> (2 * i) & 3);
        *out = scale * (q - 1.0 + if down { -0.125 } else { 0.125 });
    }
}

/// An eighth up or down, by a bit of each lane, for the bytes of [`TABLE`].
#[inline(always)]
pub fn shift(x: u32x16, bit: usize) -> B {
    let up = (x & Simd::splat(1 << bit)).simd_eq(Simd::splat(0));
    to_bytes(up.select(Simd::splat(0x0101_0101), Simd::splat(0xffff_ffff)))
}
