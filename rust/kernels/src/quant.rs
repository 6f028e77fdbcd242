//! Weight types: a file each, and one table.
//!
//! A quantized type says what a block means (`dequantize`, the reference) and how 16 rows of blocks
//! become bytes side by side (`unpack`), which is all that the [tile](crate::tile) needs. A float type
//! says how 16 weights are loaded.

use std::marker::PhantomData;
use std::ops::Range;
use std::simd::prelude::*;

use crate::activations::Span;
use crate::isa::{B, F, Isa, LANES, prefetch, prefetch_l2};
use crate::matmul::{Share, float_columns, tile_columns};
use crate::thin;

mod bfloat16;
mod bits;
mod float16;
mod float32;
mod grid;
mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_nl;
mod iq4_xs;
mod mxfp4;
mod nvfp4;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
#[cfg(test)]
mod tests;
mod tq1_0;
mod tq2_0;

use bits::to_bytes;

/// What the rest of the program sees of a weight type.
pub struct Quant {
    /// The number of the type in GGUF files.
    pub ggml_id: u32,
    /// The type's name in GGUF tools.
    pub name: &'static str,
    /// Weights in a block.
    pub block_len: usize,
    /// Bytes of a block.
    pub block_bytes: usize,
    /// With which span activations are quantized for it, if they are.
    pub(crate) span: Option<Span>,
    /// Whether activations are rounded to bfloat16 for it where the instruction set multiplies pairs.
    pub(crate) pairs: bool,
    /// Whether a tensor of the type is multiplied by one more number, kept in `<name>.scale`.
    pub scaled: bool,
    dequantize: fn(&[u8], &mut [f32]),
    pub(crate) narrow: Option<Range<usize>>,
    pub(crate) columns: fn(Share),
    pub(crate) add_thin: Option<fn(thin::Share)>,
}

/// Every type that the kernels compute with.
pub static QUANTS: &[Quant] = &[
    Quant::floats::<float32::F32>(),
    Quant::floats::<float16::F16>(),
    Quant::floats::<bfloat16::Bf16>(),
    Quant::blocks::<q4_0::Q4_0>(),
    Quant::blocks::<q4_1::Q4_1>(),
    Quant::blocks::<q5_0::Q5_0>(),
    Quant::blocks::<q5_1::Q5_1>(),
    Quant::blocks::<q8_0::Q8_0>(),
    Quant::blocks::<q2_k::Q2K>(),
    Quant::blocks::<q3_k::Q3K>(),
    Quant::blocks::<q4_k::Q4K>(),
    Quant::blocks::<q5_k::Q5K>(),
    Quant::blocks::<q6_k::Q6K>(),
    Quant::blocks::<iq1_s::Iq1S>(),
    Quant::blocks::<iq1_m::Iq1M>(),
    Quant::blocks::<iq2_xxs::Iq2Xxs>(),
    Quant::blocks::<iq2_xs::Iq2Xs>(),
    Quant::blocks::<iq2_s::Iq2S>(),
    Quant::blocks::<iq3_xxs::Iq3Xxs>(),
    Quant::blocks::<iq3_s::Iq3S>(),
    Quant::blocks::<iq4_nl::Iq4Nl>(),
    Quant::blocks::<iq4_xs::Iq4Xs>(),
    Quant::blocks::<mxfp4::Mxfp4>(),
    Quant::blocks::<nvfp4::Nvfp4>(),
    Quant::blocks::<tq1_0::Tq1_0>(),
    Quant::blocks::<tq2_0::Tq2_0>(),
];

impl Quant {
    /// The type with that number in GGUF files.
    pub fn from_ggml_id(id: u32) -> Option<&'static Quant> {
        QUANTS.iter().find(|q| q.ggml_id == id)
    }

    /// Whether activations are quantized to int8 for it.
    pub fn int8(&self) -> bool {
        self.span.is_some()
    }

    /// Bytes of a row of `k` weights; none if they do not make whole blocks.
    pub fn row_bytes(&self, k: usize) -> Option<usize> {
        k.is_multiple_of(self.block_len).then(|| k / self.block_len * self.block_bytes)
    }

    /// Writes the weights that the bytes stand for.
    ///
    /// # Panics
    /// `bytes` does not hold exactly `out.len()` weights.
    pub fn dequantize(&self, bytes: &[u8], out: &mut [f32]) {
        assert_eq!(Some(bytes.len()), self.row_bytes(out.len()), "bytes of {} weights", out.len());
        (self.dequantize)(bytes, out);
    }

    const fn blocks<T: Block>() -> Quant {
        Quant {
            ggml_id: T::GGML_ID,
            name: T::NAME,
            block_len: T::LEN,
            block_bytes: size_of::<T>(),
            span: Some(T::SPAN),
            pairs: false,
            dequantize: |bytes, out| {
                // SAFETY: a block has alignment 1 and any bytes are one.
                let (_, blocks, _) = unsafe { bytes.align_to::<T>() };
                for (block, out) in blocks.iter().zip(out.chunks_exact_mut(T::LEN)) {
                    block.dequantize(out);
                }
            },
            scaled: T::SCALED,
            narrow: T::NARROW,
            columns: tile_columns::<T>,
            add_thin: None,
        }
    }

    const fn floats<T: Float>() -> Quant {
        Quant {
            ggml_id: T::GGML_ID,
            name: T::NAME,
            block_len: 1,
            block_bytes: T::BYTES,
            span: None,
            pairs: T::PAIRS,
            dequantize: |bytes, out| {
                for (bytes, out) in bytes.chunks_exact(T::BYTES).zip(out) {
                    *out = T::dequantize(bytes);
                }
            },
            scaled: false,
            narrow: None,
            columns: float_columns::<T>,
            add_thin: Some(thin::add_share::<T>),
        }
    }
}

/// How the bytes of a tile become weights.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// `scale * (byte - 64)`, no byte exceeding 127.
    Narrow,
    /// `scale * (byte - 128)`.
    Wide,
    /// `scale * byte + min`, no byte exceeding 127.
    Min,
}

/// A block of quantized weights, laid out as in the file.
///
/// # Safety
/// The type has alignment 1 and no invalid bit patterns.
pub unsafe trait Block: Sized + 'static {
    /// The number in GGUF files.
    const GGML_ID: u32;
    /// The name in GGUF tools.
    const NAME: &'static str;
    /// Weights in a block, a multiple of 32.
    const LEN: usize;
    /// Consecutive weights that share a scale in the tile: 16 or 32.
    const GROUP: usize;
    /// What bytes of the tile mean.
    const OFFSET: Offset;
    /// Activations that share a scale: more than 32 for the types that models are mostly made of, among those
    /// that ggml multiplies with 256 activations of one scale.
    const SPAN: Span = Span::Of32;
    /// Whether a tensor is multiplied by one more number.
    const SCALED: bool = false;
    /// Where the one field of a block is that is shorter than 4 bytes, the others being read in fours
    /// before and after it; empty if there is none. Types read in another manner have no such thing,
    /// and stay as the file has them: see [`crate::panels`].
    const NARROW: Option<Range<usize>> = None;

    /// The meaning of the format. `out` has `LEN` places.
    fn dequantize(&self, out: &mut [f32]);

    /// One block of each of 16 rows as a tile; must be `#[inline(always)]` and agree with
    /// `dequantize`.
    fn unpack<A: Isa, const PANELS: bool>(isa: A, rows: Rows<Self, PANELS>, out: Unpacked);
}

/// Where a block is unpacked to.
pub struct Unpacked<'a> {
    /// `[LEN / 4]`: in vector `j`, lane `4r + i` is weight `4j + i` of row `r`.
    pub bytes: &'a mut [B],
    /// `[LEN / GROUP]`: lane `r` is row `r`'s scale.
    pub scales: &'a mut [F],
    /// `[LEN / GROUP]`, to be filled only by types with `Offset::Min`; what is added to weights.
    pub mins: &'a mut [F],
}

/// The blocks that stand at the same place of 16 consecutive rows: as the file has them, or in a panel
/// ([`crate::panels`]), where each field of the 16 stands side by side.
pub struct Rows<'a, T, const PANELS: bool> {
    first: *const u8,
    stride: usize,
    ahead: *const u8,
    blocks: PhantomData<&'a T>,
}

impl<T, const PANELS: bool> Clone for Rows<'_, T, PANELS> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, const PANELS: bool> Copy for Rows<'_, T, PANELS> {}

impl<T: Block, const PANELS: bool> Rows<'_, T, PANELS> {
    const LARGE: bool = size_of::<T>() > 64;

    /// Memory from `ahead` on, as much as the blocks have, is fetched while they are read: a large
    /// block's piece by piece, as more requests at a time than the cache can have open would stall.
    ///
    /// # Safety
    /// At `first + r * stride`, for each `r < 16`, there is a `T`; or, in a panel, 16 of them at `first`.
    #[inline(always)]
    pub unsafe fn new(first: *const u8, stride: usize, ahead: *const u8) -> Self {
        let rows = Rows { first, stride, ahead, blocks: PhantomData };
        if !Self::LARGE {
            rows.fetch(0, LANES * size_of::<T>());
        }
        rows
    }

    /// One stream is fetched into the second-level cache, which can wait for more lines at a time than
    /// the first-level cache; 16 streams would not last there.
    #[inline(always)]
    fn fetch(self, offset: usize, len: usize) {
        if PANELS {
            prefetch_l2(self.ahead.wrapping_add(offset), len);
        } else {
            prefetch(self.ahead.wrapping_add(offset), len);
        }
    }

    /// An unaligned value at a byte offset of the block of a row.
    #[inline(always)]
    fn get<V: Copy>(self, row: usize, offset: usize) -> V {
        assert!(!PANELS, "{} is not kept in panels", T::NAME);
        assert!(row < LANES && offset + size_of::<V>() <= size_of::<T>());
        // SAFETY: inside the block, which exists by `new`; used with plain integers and vectors.
        unsafe { self.first.add(row * self.stride + offset).cast::<V>().read_unaligned() }
    }

    /// A field of all rows, `V` being as long as 16 of them.
    #[inline(always)]
    fn field<V: Copy>(self, offset: usize) -> V {
        assert!(LANES * offset + size_of::<V>() <= LANES * size_of::<T>());
        // SAFETY: inside the panel's 16 blocks, which exist by `new`; used with plain vectors.
        unsafe { self.first.add(LANES * offset).cast::<V>().read_unaligned() }
    }

    /// 16 bytes of each row, as four vectors: vector `j` has bytes `4j..4j + 4` of every row.
    #[inline(always)]
    pub fn dwords4(self, offset: usize) -> [B; 4] {
        if Self::LARGE {
            self.fetch(offset * LANES, 16 * LANES);
        }
        if PANELS {
            return [
                self.field(offset),
                self.field(offset + 4),
                self.field(offset + 8),
                self.field(offset + 12),
            ];
        }
        let (a, b, c, d) = (
            self.quad(0, offset),
            self.quad(1, offset),
            self.quad(2, offset),
            self.quad(3, offset),
        );
        let (ab_low, ab_high) = (unpack_low(a, b), unpack_high(a, b));
        let (cd_low, cd_high) = (unpack_low(c, d), unpack_high(c, d));
        [
            to_bytes(pair_low(ab_low, cd_low)),
            to_bytes(pair_high(ab_low, cd_low)),
            to_bytes(pair_low(ab_high, cd_high)),
            to_bytes(pair_high(ab_high, cd_high)),
        ]
    }

    /// Rows i, i + 4, i + 8 and i + 12 side by side: transposing 4 × 4 within each 128 bits then
    /// leaves the rows in order.
    #[inline(always)]
    fn quad(self, i: usize, offset: usize) -> u32x16 {
        let (a, b) = (self.get::<u32x4>(i, offset), self.get::<u32x4>(i + 4, offset));
        let (c, d) = (self.get::<u32x4>(i + 8, offset), self.get::<u32x4>(i + 12, offset));
        let low: u32x8 = simd_swizzle!(a, b, [0, 1, 2, 3, 4, 5, 6, 7]);
        let high: u32x8 = simd_swizzle!(c, d, [0, 1, 2, 3, 4, 5, 6, 7]);
        simd_swizzle!(low, high, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
    }

    /// Four bytes of each row.
    #[inline(always)]
    pub fn dword(self, offset: usize) -> u32x16 {
        if PANELS {
            return self.field(offset);
        }
        let mut out = [0; LANES];
        for (r, out) in out.iter_mut().enumerate() {
            *out = self.get::<u32>(r, offset);
        }
        u32x16::from_array(out)
    }

    /// Two bytes of each row.
    #[inline(always)]
    pub fn word(self, offset: usize) -> u16x16 {
        if PANELS {
            return self.field(offset);
        }
        let mut out = [0; LANES];
        for (r, out) in out.iter_mut().enumerate() {
            *out = self.get::<u16>(r, offset);
        }
        u16x16::from_array(out)
    }

    /// One byte of each row.
    #[inline(always)]
    pub fn byte(self, offset: usize) -> u8x16 {
        if PANELS {
            return self.field(offset);
        }
        let mut out = [0; LANES];
        for (r, out) in out.iter_mut().enumerate() {
            *out = self.get::<u8>(r, offset);
        }
        u8x16::from_array(out)
    }
}

#[inline(always)]
fn unpack_low(a: u32x16, b: u32x16) -> u32x16 {
    simd_swizzle!(a, b, [0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29])
}

#[inline(always)]
fn unpack_high(a: u32x16, b: u32x16) -> u32x16 {
    simd_swizzle!(a, b, [2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31])
}

#[inline(always)]
fn pair_low(a: u32x16, b: u32x16) -> u32x16 {
    simd_swizzle!(a, b, [0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29])
}

#[inline(always)]
fn pair_high(a: u32x16, b: u32x16) -> u32x16 {
    simd_swizzle!(a, b, [2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31])
}

/// A half-precision number to float, for references.
pub fn half(bits: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bits));
    let (sign, magnitude) = ((bits & 0x8000) << 16, bits & 0x7fff);
    let scaled = f32::from_bits(magnitude << 13) * f32::from_bits(0x7780_0000);
    let magnitude =
        if magnitude < 0x7c00 { scaled.to_bits() } else { magnitude << 13 | 0x7f80_0000 };
    f32::from_bits(magnitude | sign)
}

/// A type without blocks: each weight is a float of some kind.
pub trait Float: 'static {
    /// The number in GGUF files.
    const GGML_ID: u32;
    /// The name in GGUF tools.
    const NAME: &'static str;
    /// Bytes of a weight.
    const BYTES: usize;
    /// Whether weights are bfloat16, of which pairs can be multiplied as they are.
    const PAIRS: bool = false;

    /// The meaning of `BYTES` bytes.
    fn dequantize(bytes: &[u8]) -> f32;

    /// 16 weights; must be `#[inline(always)]`.
    ///
    /// # Safety
    /// `16 * BYTES` bytes can be read at `p`.
    unsafe fn load<A: Isa>(isa: A, p: *const u8) -> F;
}
