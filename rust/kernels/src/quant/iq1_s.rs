//! 256 weights of three values in eight groups, shifted by an eighth:
//! `w = d * (2 * scale[g] + 1) * (q - 1 ± 1/8)`.
//!
//! Eight of the `q` are a point of a table of 2048.

use std::simd::Select;
use std::simd::prelude::*;

use super::bits::{field, to_bytes, to_dwords};
use super::grid::{nibbles, points, take_four};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{B, F, Isa, LANES};

static TABLE: [u32; 2048] = nibbles(&points::IQ1_S);

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
    const OFFSET: Offset = Offset::Bias(4);
    const WIDE: bool = false;

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
        for g in 0..8 {
            let at = g % 2 * 16;
            let scale = field(high[g / 2], at + 12, 3).cast::<f32>();
            out.scales[g] = d * (scale * F::splat(2.0) + F::splat(1.0));
            let shift = shift(high[g / 2], at + 15);
            let words = rows.words(34 + 2 * g);
            for e in 0..4 {
                let mut index = rows.bytes(2 + 4 * g + e);
                for r in 0..LANES {
                    index[r] |= (words[r] >> (3 * e) & 7) << 8;
                }
                let at = 8 * g + 2 * e;
                [out.bytes[at], out.bytes[at + 1]] = take_shifted(index, shift);
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

/// What is added to `8 * q`, in every byte of a lane: 16 for the bias, less 8, and 1 up or down by
/// the lane's bit.
#[inline(always)]
pub fn shift(x: u32x16, bit: usize) -> u32x16 {
    let up = (x & Simd::splat(1 << bit)).simd_eq(Simd::splat(0));
    up.select(Simd::splat(0x0909_0909), Simd::splat(0x0707_0707))
}

/// The bytes of each row's eight weights: eight times their values, plus 16.
#[inline(always)]
pub fn take_shifted(index: [usize; LANES], shift: u32x16) -> [B; 2] {
    let point = to_dwords(take_four(&TABLE, index));
    let mask = Simd::splat(0x1818_1818);
    let [low, high] = [point << Simd::splat(3), point >> Simd::splat(1)];
    [to_bytes((low & mask) + shift), to_bytes((high & mask) + shift)]
}
