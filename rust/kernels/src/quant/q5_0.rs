//! 32 weights of 5 bits and one scale: `w = scale * (q - 16)`.

use std::simd::prelude::*;

use super::bits::{low_half, move_bits, to_bytes, to_dwords};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::isa::{B, F, Isa};
use std::ops::Range;

/// The four low bits are as in Q4_0; bit `i` of `high` is the upper bit of weight `i`.
#[repr(C)]
pub struct Q5_0 {
    scale: [u8; 2],
    high: [u8; 4],
    packed: [u8; 16],
}
const _: () = assert!(size_of::<Q5_0>() == 22);

// SAFETY: bytes only.
unsafe impl Block for Q5_0 {
    const GGML_ID: u32 = 6;
    const NAME: &'static str = "Q5_0";
    const LEN: usize = 32;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Narrow;
    const NARROW: Option<Range<usize>> = Some(0..2);

    fn dequantize(&self, out: &mut [f32]) {
        let scale = half(self.scale);
        for (out, q) in out.iter_mut().zip(numbers(self.high, &self.packed)) {
            *out = scale * (f32::from(q) - 16.0);
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        let high = if PANELS {
            out.scales[0] = isa.half(rows.word(0)) * F::splat(0.25);
            rows.dword(2)
        } else {
            let [first, second, ..] = rows.dwords4(0).map(to_dwords);
            out.scales[0] = low_half(isa, first) * F::splat(0.25);
            first >> Simd::splat(16) | second << Simd::splat(16)
        };
        unpack_numbers(high, rows.dwords4(6), out.bytes);
    }
}

/// The 32 numbers of 5 bits.
pub fn numbers(high: [u8; 4], packed: &[u8; 16]) -> [u8; 32] {
    let high = u32::from_le_bytes(high);
    std::array::from_fn(|i| {
        let low = packed[i % 16] >> (i / 16 * 4) & 15;
        low | ((high >> i & 1) as u8) << 4
    })
}

/// Four times the same for 16 rows.
#[inline(always)]
pub fn unpack_numbers(high: u32x16, packed: [B; 4], out: &mut [B]) {
    let high = spread(high);
    // Where `spread` puts the bits of weights 4j to 4j + 3.
    let bit = |j: usize| (j / 2 + j % 2 * 4) as u32;
    for (j, packed) in packed.into_iter().enumerate() {
        out[j] = move_bits(packed, 0, 2, 4) | move_bits(high, bit(j), 6, 1);
        out[j + 4] = move_bits(packed, 4, 2, 4) | move_bits(high, bit(j + 4), 6, 1);
    }
}

/// Moves bit `4j + i` of every lane to bit `j / 2 + j % 2 * 4` of its byte `i`.
///
/// Of the five binary digits of a bit's place, the 4 trades with the 1 and the 3 with the 0.
#[inline(always)]
fn spread(x: u32x16) -> B {
    let x = swap(x, 0x0000_cccc, 14);
    to_bytes(swap(x, 0x00aa_00aa, 7))
}

/// Exchanges the bits under the mask with those `distance` above.
#[inline(always)]
fn swap(x: u32x16, mask: u32, distance: u32) -> u32x16 {
    let distance = Simd::splat(distance);
    let differ = ((x >> distance) ^ x) & Simd::splat(mask);
    x ^ differ ^ (differ << distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_finds_its_byte() {
        for place in 0..32 {
            let (j, i) = (place / 4, place % 4);
            let bytes = spread(u32x16::splat(1 << place));
            for (at, byte) in bytes.to_array().into_iter().enumerate() {
                let expected = if at % 4 == i { 1 << (j / 2 + j % 2 * 4) } else { 0 };
                assert_eq!(byte, expected, "bit {place}, byte {at}");
            }
        }
    }
}
