//! Bits of packed bytes and numbers, for `unpack`.

use std::simd::prelude::*;

use crate::isa::{B, F, Isa};

/// The same bits as bytes.
#[inline(always)]
pub fn to_bytes(x: u32x16) -> B {
    // SAFETY: the same size, any bits are valid.
    unsafe { std::mem::transmute(x) }
}

/// The same bits as groups of four bytes.
#[inline(always)]
pub fn to_dwords(x: B) -> u32x16 {
    // SAFETY: the same size, any bits are valid.
    unsafe { std::mem::transmute(x) }
}

/// The four low bits of every byte.
#[inline(always)]
pub fn low_nibbles(x: B) -> B {
    move_bits(x, 0, 0, 4)
}

/// The four high bits of every byte.
#[inline(always)]
pub fn high_nibbles(x: B) -> B {
    move_bits(x, 4, 0, 4)
}

/// The `len` bits from bit `from` of every byte, moved to bit `to`; the other bits are zero.
#[inline(always)]
pub fn move_bits(x: B, from: u32, to: u32, len: u32) -> B {
    let x = to_dwords(x);
    let moved = if from < to { x << Simd::splat(to - from) } else { x >> Simd::splat(from - to) };
    // What came from a neighbouring byte is outside the mask.
    to_bytes(moved) & B::splat(((1 << len) - 1) << to)
}

/// The unsigned number of `len` bits from bit `from` of every lane.
#[inline(always)]
pub fn field(x: u32x16, from: usize, len: u32) -> i32x16 {
    ((x >> Simd::splat(from as u32)) & Simd::splat((1 << len) - 1)).cast()
}

/// The half-precision number in the lower 16 bits of every lane.
#[inline(always)]
pub fn low_half<A: Isa>(isa: A, x: u32x16) -> F {
    isa.half(x.cast())
}

/// The half-precision number in the upper 16 bits of every lane.
#[inline(always)]
pub fn high_half<A: Isa>(isa: A, x: u32x16) -> F {
    isa.half((x >> Simd::splat(16)).cast())
}
