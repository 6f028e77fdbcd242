//! Single precision.

use super::Float;
use crate::isa::{F, Isa};

pub struct F32;

impl Float for F32 {
    const GGML_ID: u32 = 0;
    const NAME: &'static str = "F32";
    const BYTES: usize = 4;

    fn dequantize(bytes: &[u8]) -> f32 {
        f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    #[inline(always)]
    unsafe fn load<A: Isa>(_: A, p: *const u8) -> F {
        // SAFETY: the caller's condition.
        unsafe { p.cast::<F>().read_unaligned() }
    }
}
