//! Weights that are looked up eight or four at a time, and their signs.

use std::simd::prelude::*;
use std::simd::{Select, Swizzle};

use super::bits::{to_bytes, to_dwords};
use crate::isa::{B, Isa, LANES};

pub mod points;

/// The bias of bytes whose signs are kept apart: magnitudes are below 64.
pub const BIAS: u32 = 6;

/// The bytes of points of eight positive weights.
pub const fn eights<const N: usize>(points: &[u16; N], magnitudes: [u8; 3]) -> [u64; N] {
    let mut table = [0; N];
    let mut at = 0;
    while at < N {
        let mut i = 0;
        while i < 8 {
            let magnitude = magnitudes[(points[at] >> (2 * i) & 3) as usize];
            table[at] |= (magnitude as u64 + (1 << BIAS)) << (8 * i);
            i += 1;
        }
        at += 1;
    }
    table
}

/// The bytes of points of four positive weights.
pub const fn fours<const N: usize>(points: &[u16; N], magnitudes: [u8; 8]) -> [u32; N] {
    let mut table = [0; N];
    let mut at = 0;
    while at < N {
        let mut i = 0;
        while i < 4 {
            let magnitude = magnitudes[(points[at] >> (4 * i) & 7) as usize];
            table[at] |= (magnitude as u32 + (1 << BIAS)) << (8 * i);
            i += 1;
        }
        at += 1;
    }
    table
}

/// Points of eight numbers below 4, four bits for each: bits `8 i` of number `i` and `8 i + 4` of number
/// `i + 4`.
pub const fn nibbles<const N: usize>(points: &[u16; N]) -> [u32; N] {
    let mut table = [0; N];
    let mut at = 0;
    while at < N {
        let mut i = 0;
        while i < 8 {
            table[at] |= (points[at] as u32 >> (2 * i) & 3) << (i % 4 * 8 + i / 4 * 4);
            i += 1;
        }
        at += 1;
    }
    table
}

/// Each row's entry of eight bytes as two vectors, of the first four and the last four.
#[inline(always)]
pub fn take_eight<const N: usize>(table: &[u64; N], index: [usize; LANES]) -> [B; 2] {
    const { assert!(N.is_power_of_two()) }
    // Each 128 bits of the results draw on the same 128 bits of both halves.
    const ROWS: [usize; LANES] = [0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15];
    let mut entries = [0; LANES];
    for (entry, r) in entries.iter_mut().zip(ROWS) {
        *entry = table[index[r] % N];
    }
    // SAFETY: the same size, any bits are valid.
    let [a, b]: [u32x16; 2] = unsafe { std::mem::transmute(entries) };
    [
        to_bytes(simd_swizzle!(a, b, [0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30])),
        to_bytes(simd_swizzle!(a, b, [1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31])),
    ]
}

/// Each row's entry of four bytes.
#[inline(always)]
pub fn take_four<const N: usize>(table: &[u32; N], index: [usize; LANES]) -> B {
    const { assert!(N.is_power_of_two()) }
    let mut entries = [0; LANES];
    for r in 0..LANES {
        entries[r] = table[index[r] % N];
    }
    to_bytes(u32x16::from_array(entries))
}

/// The signs of 32 weights, a bit for each, spread to the bytes of eight vectors: a byte has its bit
/// where the weight is negative.
pub struct Signs([B; 4]);

impl Signs {
    /// Bit `i` of a lane is weight `i`'s.
    #[inline(always)]
    pub fn new(bits: u32x16) -> Signs {
        let bits = to_bytes(bits);
        Signs([
            Broadcast::<0>::swizzle(bits),
            Broadcast::<1>::swizzle(bits),
            Broadcast::<2>::swizzle(bits),
            Broadcast::<3>::swizzle(bits),
        ])
    }

    /// From seven signs in each byte, the eighth making the number of negative weights even.
    #[inline(always)]
    pub fn even<A: Isa>(isa: A, bits: u32x16) -> Signs {
        const ODD: u8x16 =
            u8x16::from_array([0, 128, 128, 0, 128, 0, 0, 128, 128, 0, 0, 128, 0, 128, 128, 0]);
        let folded = to_bytes(bits ^ bits >> Simd::splat(4)) & B::splat(15);
        Signs::new(bits | to_dwords(isa.lookup(ODD, folded)))
    }

    /// The bytes of positive weights `4 j..4 j + 4` with their signs.
    #[inline(always)]
    pub fn apply(&self, j: usize, bytes: B) -> B {
        let bit = u32x16::splat(if j.is_multiple_of(2) { 0x0804_0201 } else { 0x8040_2010 });
        let negative = (self.0[j / 2] & to_bytes(bit)).simd_ne(B::splat(0));
        negative.select(B::splat(2 << BIAS) - bytes, bytes)
    }
}

/// Repeats byte `I` of every lane.
struct Broadcast<const I: usize>;

impl<const I: usize> Swizzle<64> for Broadcast<I> {
    const INDEX: [usize; 64] = {
        let mut index = [0; 64];
        let mut i = 0;
        while i < 64 {
            index[i] = i / 4 * 4 + I;
            i += 1;
        }
        index
    };
}

/// Four numbers of seven bits, one above the other, as bytes.
#[inline(always)]
pub fn spread_sevens(x: u32x16) -> u32x16 {
    let part = |i: u32| (x << Simd::splat(i)) & Simd::splat(0x7f << (8 * i));
    part(0) | part(1) | part(2) | part(3)
}

/// The eight signs that seven bits mean.
pub fn even_signs(seven: u8) -> u8 {
    seven | (seven.count_ones() as u8 & 1) << 7
}

/// Turns the magnitudes of up to eight weights negative where the bit is set.
pub fn with_sign(magnitude: u8, signs: u8, i: usize) -> f32 {
    let magnitude = f32::from(magnitude);
    if signs >> i & 1 == 0 { magnitude } else { -magnitude }
}
