//! 256 weights of 4 bits in eight groups: `w = d * scale[g] * q - dmin * min[g]`.

use std::simd::prelude::*;

use super::bits::{field, high_half, high_nibbles, low_half, low_nibbles, to_dwords};
use super::{Block, Offset, Rows, Unpacked, half};
use crate::activations::Span;
use crate::isa::{B, F, Isa};
use std::ops::Range;

/// Byte `32 p + i` of `packed` holds weight `i` of group `2 p` in its low half and of group `2 p + 1`
/// in its high half. `scales` are eight scales and eight mins of 6 bits, see [`scale_and_min`].
#[repr(C)]
pub struct Q4K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: [u8; 12],
    packed: [u8; 128],
}
const _: () = assert!(size_of::<Q4K>() == 144);

// SAFETY: bytes only.
unsafe impl Block for Q4K {
    const GGML_ID: u32 = 12;
    const NAME: &'static str = "Q4_K";
    const LEN: usize = 256;
    const GROUP: usize = 32;
    const OFFSET: Offset = Offset::Min;
    const SPAN: Span = Span::Of64;
    const NARROW: Option<Range<usize>> = Some(0..0);

    fn dequantize(&self, out: &mut [f32]) {
        let (d, dmin) = (half(self.d), half(self.dmin));
        for (g, out) in out.chunks_exact_mut(32).enumerate() {
            let (scale, min) = scale_and_min(&self.scales, g);
            let packed = &self.packed[g / 2 * 32..][..32];
            for (out, byte) in out.iter_mut().zip(packed) {
                let q = if g % 2 == 0 { byte & 15 } else { byte >> 4 };
                *out = d * f32::from(scale) * f32::from(q) - dmin * f32::from(min);
            }
        }
    }

    #[inline(always)]
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked) {
        unpack_scales(isa, rows.dwords4(0), out.scales, out.mins);
        for p in 0..4 {
            for half in 0..2 {
                let packed = rows.dwords4(16 + 32 * p + 16 * half);
                for (j, packed) in packed.into_iter().enumerate() {
                    out.bytes[16 * p + 4 * half + j] = low_nibbles(packed);
                    out.bytes[16 * p + 8 + 4 * half + j] = high_nibbles(packed);
                }
            }
        }
    }
}

/// Group `g`'s scale and min: the first four of each are the low 6 bits of a byte, the others have 4
/// bits in bytes 8 to 11 and their 2 upper bits on top of the first ones.
pub fn scale_and_min(packed: &[u8; 12], g: usize) -> (u8, u8) {
    if g < 4 {
        (packed[g] & 63, packed[g + 4] & 63)
    } else {
        let low = packed[g + 4];
        let high = |i: usize| packed[i] >> 6 << 4;
        (low & 15 | high(g - 4), low >> 4 | high(g))
    }
}

/// The same for 16 rows from the head of the block (`d`, `dmin`, `scales`), multiplied out.
#[inline(always)]
pub fn unpack_scales<A: Isa>(isa: A, head: [B; 4], scales: &mut [F], mins: &mut [F]) {
    let [d, first, second, third] = head.map(to_dwords);
    let (d, dmin) = (low_half(isa, d), high_half(isa, d));
    let six = Simd::splat(0x3f3f_3f3f);
    let four = Simd::splat(0x0f0f_0f0f);
    let top = |x: u32x16| (x >> Simd::splat(2)) & Simd::splat(0x3030_3030);
    let scale = [first & six, (third & four) | top(first)];
    let min = [second & six, ((third >> Simd::splat(4)) & four) | top(second)];
    for g in 0..8 {
        let byte = |x| field(x, g % 4 * 8, 8).cast::<f32>();
        scales[g] = d * byte(scale[g / 4]);
        mins[g] = -dmin * byte(min[g / 4]);
    }
}
