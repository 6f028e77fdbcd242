//! Half precision.

use std::simd::prelude::*;

use super::{Float, half};
use crate::isa::{F, Isa};

pub struct F16;

impl Float for F16 {
    const GGML_ID: u32 = 1;
    const NAME: &'static str = "F16";
    const BYTES: usize = 2;

    fn dequantize(bytes: &[u8]) -> f32 {
        half([bytes[0], bytes[1]])
    }

    #[inline(always)]
    unsafe fn load<A: Isa>(isa: A, p: *const u8) -> F {
        // SAFETY: the caller's condition.
        isa.half(unsafe { p.cast::<u16x16>().read_unaligned() })
    }
}
