//! Weights that are looked up eight or four at a time, and their signs.

use std::simd::prelude::*;
use std::simd::{Select, Swizzle};

use super::bits::{to_bytes, to_dwords};
use crate::isa::{B, Isa, LANES};

pub mod points;

/// A table of points of eight bytes.
#[repr(align(64))]
pub struct Eights<const N: usize> {
    /// Number `4 h + 2 p + i` is two bits from bit `4 h + 2 i` on of byte `p`.
    numbers: [u16; N],
    /// What three numbers stand for, by themselves and two bits higher.
    values: u8x16,
    bytes: [u64; N],
}

impl<const N: usize> Eights<N> {
    /// Of points of numbers below 3, which stand for these bytes.
    pub const fn new(points: &[u16; N], values: [u8; 3]) -> Self {
        let [a, b, c] = values;
        let (mut numbers, mut bytes) = ([0; N], [0; N]);
        let mut at = 0;
        while at < N {
            let mut i = 0;
            while i < 8 {
                let number = points[at] >> (2 * i) & 3;
                numbers[at] |= number << (i / 4 * 4 + i % 2 * 2 + i % 4 / 2 * 8);
                bytes[at] |= (values[number as usize] as u64) << (8 * i);
                i += 1;
            }
            at += 1;
        }
        let values = u8x16::from_array([a, b, c, 0, b, 0, 0, 0, c, 0, 0, 0, 0, 0, 0, 0]);
        Eights { numbers, values, bytes }
    }

    /// The bytes of four points of each row, whose indices are as [`indices`] gives them.
    #[inline(always)]
    pub fn take<A: Isa>(&self, isa: A, index: [u32x16; 2]) -> [B; 8] {
        if N > A::QUICK_TAKE {
            let ([a, c], [b, d]) = (self.load(index[0]), self.load(index[1]));
            return [a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]];
        }
        let [even, odd] = isa.take(&self.numbers, index);
        let [even, even_last] = [to_bytes(even), to_bytes(even >> Simd::splat(4))];
        let [odd, odd_last] = [to_bytes(odd), to_bytes(odd >> Simd::splat(4))];
        let mut out = [
            Repeat::<0, 2>::swizzle(even),
            Repeat::<0, 2>::swizzle(even_last),
            Repeat::<0, 2>::swizzle(odd),
            Repeat::<0, 2>::swizzle(odd_last),
            Repeat::<2, 2>::swizzle(even),
            Repeat::<2, 2>::swizzle(even_last),
            Repeat::<2, 2>::swizzle(odd),
            Repeat::<2, 2>::swizzle(odd_last),
        ];
        let mask = to_bytes(Simd::splat(0x0c03_0c03));
        for bytes in &mut out {
            *bytes = isa.lookup(self.values, *bytes & mask);
        }
        out
    }

    /// The points that the lower and the upper half of every lane are the indices of.
    #[inline(always)]
    fn load(&self, index: u32x16) -> [[B; 2]; 2] {
        // Each 128 bits of the results draw on the same 128 bits of both halves.
        const ROWS: [usize; LANES] = [0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15];
        let index = index.to_array();
        let mut entries = [[0; LANES]; 2];
        for (at, r) in ROWS.into_iter().enumerate() {
            entries[0][at] = self.bytes[(index[r] & 0xffff) as usize % N];
            entries[1][at] = self.bytes[(index[r] >> 16) as usize % N];
        }
        [halves(entries[0]), halves(entries[1])]
    }
}

/// The first four and the last four bytes of rows in the order of [`Eights::load`].
#[inline(always)]
fn halves(entries: [u64; LANES]) -> [B; 2] {
    // SAFETY: the same size, any bits are valid.
    let [a, b]: [u32x16; 2] = unsafe { std::mem::transmute(entries) };
    let low = simd_swizzle!(a, b, [0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30]);
    let high = simd_swizzle!(a, b, [1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31]);
    [to_bytes(low), to_bytes(high)]
}

/// A table of points of four bytes.
#[repr(align(64))]
pub struct Fours<const N: usize> {
    /// Number `i` is four bits from bit `4 i` on.
    numbers: [u16; N],
    values: u8x16,
    bytes: [u32; N],
}

impl<const N: usize> Fours<N> {
    /// Of points of numbers below 8, which stand for these bytes.
    pub const fn new(points: &[u16; N], values: [u8; 8]) -> Self {
        let mut bytes = [0; N];
        let mut at = 0;
        while at < N {
            let mut i = 0;
            while i < 4 {
                let number = points[at] >> (4 * i) & 7;
                bytes[at] |= (values[number as usize] as u32) << (8 * i);
                i += 1;
            }
            at += 1;
        }
        let [a, b, c, d, e, f, g, h] = values;
        let values = u8x16::from_array([a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0]);
        Fours { numbers: *points, values, bytes }
    }

    /// The bytes of four points of each row, whose indices are as [`indices`] gives them.
    #[inline(always)]
    pub fn take<A: Isa>(&self, isa: A, index: [u32x16; 2]) -> [B; 4] {
        if N > A::QUICK_TAKE {
            let ([a, c], [b, d]) = (self.load(index[0]), self.load(index[1]));
            return [a, b, c, d];
        }
        let [even, odd] = isa.take(&self.numbers, index);
        let mask = B::splat(15);
        let mut numbers = [even, even >> Simd::splat(4), odd, odd >> Simd::splat(4)].map(to_bytes);
        for bytes in &mut numbers {
            *bytes = isa.lookup(self.values, *bytes & mask);
        }
        let [even, even_next, odd, odd_next] = numbers;
        [
            Zip::<0>::concat_swizzle(even, even_next),
            Zip::<0>::concat_swizzle(odd, odd_next),
            Zip::<2>::concat_swizzle(even, even_next),
            Zip::<2>::concat_swizzle(odd, odd_next),
        ]
    }

    /// The points that the lower and the upper half of every lane are the indices of.
    #[inline(always)]
    fn load(&self, index: u32x16) -> [B; 2] {
        let index = index.to_array();
        let mut entries = [[0; LANES]; 2];
        for r in 0..LANES {
            entries[0][r] = self.bytes[(index[r] & 0xffff) as usize % N];
            entries[1][r] = self.bytes[(index[r] >> 16) as usize % N];
        }
        [to_bytes(u32x16::from_array(entries[0])), to_bytes(u32x16::from_array(entries[1]))]
    }
}

/// The indices in four bytes of each row, with upper bits: of the first and third one, of the second
/// and fourth one. The first one's upper bits begin at bit 8 of `upper`, the third one's at bit 24,
/// the others' `step` bits above them.
#[inline(always)]
pub fn indices(bytes: u32x16, upper: u32x16, step: u32, mask: u32) -> [u32x16; 2] {
    let low = Simd::splat(0x00ff_00ff);
    let mask = Simd::splat(mask << 8 | mask << 24);
    [
        bytes & low | upper & mask,
        (bytes >> Simd::splat(8)) & low | (upper >> Simd::splat(step)) & mask,
    ]
}

/// Adds the offset to magnitudes, which are below 64.
pub const fn biased<const N: usize>(magnitudes: [u8; N]) -> [u8; N] {
    let mut bytes = magnitudes;
    let mut i = 0;
    while i < N {
        bytes[i] += 64;
        i += 1;
    }
    bytes
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
            Repeat::<0, 4>::swizzle(bits),
            Repeat::<1, 4>::swizzle(bits),
            Repeat::<2, 4>::swizzle(bits),
            Repeat::<3, 4>::swizzle(bits),
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
        negative.select(B::splat(128) - bytes, bytes)
    }
}

/// Repeats bytes from `FROM` on of every lane, each `TIMES` times.
struct Repeat<const FROM: usize, const TIMES: usize>;

impl<const FROM: usize, const TIMES: usize> Swizzle<64> for Repeat<FROM, TIMES> {
    const INDEX: [usize; 64] = {
        let mut index = [0; 64];
        let mut i = 0;
        while i < 64 {
            index[i] = i / 4 * 4 + FROM + i % 4 / TIMES;
            i += 1;
        }
        index
    };
}

/// Two bytes from `FROM` on of every lane of two vectors, in turn.
struct Zip<const FROM: usize>;

impl<const FROM: usize> Swizzle<64> for Zip<FROM> {
    const INDEX: [usize; 64] = {
        let mut index = [0; 64];
        let mut i = 0;
        while i < 64 {
            index[i] = i / 4 * 4 + FROM + i % 4 / 2 + i % 2 * 64;
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
