//! The upper half of single precision.

use std::simd::prelude::*;

use super::Float;
use crate::isa::{F, Isa};

pub struct Bf16;

impl Float for Bf16 {
    const GGML_ID: u32 = 30;
    const NAME: &'static str = "BF16";
    const BYTES: usize = 2;
    const PAIRS: bool = true;

    fn dequantize(bytes: &[u8]) -> f32 {
        f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16)
    }

    #[inline(always)]
    unsafe fn load<A: Isa>(_: A, p: *const u8) -> F {
        // SAFETY: the caller's condition.
        let bits = unsafe { p.cast::<u16x16>().read_unaligned() };
        F::from_bits(bits.cast::<u32>() << Simd::splat(16))
    }
}
