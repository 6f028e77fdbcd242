//! x86-64: AVX2, AVX-VNNI and AVX-512 with VNNI.

use std::arch::x86_64::*;
use std::simd::prelude::*;

use super::{B, F, I, Isa};

/// AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub struct Avx2(pub(super) ());

/// AVX2 with the int8 dot product on 256 bits.
#[derive(Clone, Copy)]
pub struct AvxVnni(pub(super) ());

/// AVX-512 F, BW, VL, DQ and VNNI.
#[derive(Clone, Copy)]
pub struct Avx512(pub(super) ());

/// The two 256-bit halves of a logical vector.
trait Halves: Sized {
    fn split(self) -> [__m256i; 2];
    fn join(halves: [__m256i; 2]) -> Self;
}

macro_rules! halves {
    ($($t:ty),*) => {$(
        impl Halves for $t {
            #[inline(always)]
            fn split(self) -> [__m256i; 2] {
                // SAFETY: both are 64 bytes of which every bit pattern is valid.
                unsafe { std::mem::transmute(self) }
            }
            #[inline(always)]
            fn join(halves: [__m256i; 2]) -> Self {
                // SAFETY: as above.
                unsafe { std::mem::transmute(halves) }
            }
        }
    )*};
}
halves!(B, I);

impl Avx2 {
    /// The float operations and the lookup, shared by the levels above.
    #[inline(always)]
    fn lookup(self, table: u8x16, index: B) -> B {
        // SAFETY: an `Avx2` exists only where AVX2 was detected.
        B::join(
            index.split().map(|i| unsafe {
                _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table.into()), i)
            }),
        )
    }

    #[inline(always)]
    fn half(self, bits: u16x16) -> F {
        // SAFETY: F16C was detected with AVX2; the two arrays have the same size.
        unsafe {
            let [low, high]: [__m128i; 2] = std::mem::transmute(bits);
            std::mem::transmute([_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)])
        }
    }

    #[inline(always)]
    fn to_half(self, x: F) -> u16x16 {
        // SAFETY: F16C was detected with AVX2; the two arrays have the same size.
        unsafe {
            let [low, high]: [__m256; 2] = std::mem::transmute(x);
            std::mem::transmute([
                _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(low),
                _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(high),
            ])
        }
    }
}

#[inline(always)]
fn fma(a: F, b: F, c: F) -> F {
    use std::simd::StdFloat;
    a.mul_add(b, c)
}

impl Isa for Avx2 {
    const TILE_COLUMNS: usize = 4;
    const TILE_GROUPS: usize = 1;
    const FLOAT_VECTORS: usize = 1;

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        let (acc, w) = (acc.split(), w.split());
        let x = i32::from_le_bytes(x.map(|b| b as u8));
        // SAFETY: an `Avx2` exists only where AVX2 was detected. Two products are at most
        // 2 · 127 · 127 < 32,768, so the 16-bit sums do not saturate.
        I::join([0, 1].map(|i| unsafe {
            let pairs = _mm256_maddubs_epi16(w[i], _mm256_set1_epi32(x));
            _mm256_add_epi32(acc[i], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }))
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        let (acc, w) = (acc.split(), w.split());
        let x = i32::from_le_bytes(x.map(|b| b as u8));
        // Even and odd bytes as 16-bit numbers: no product of theirs saturates.
        // SAFETY: an `Avx2` exists only where AVX2 was detected.
        I::join([0, 1].map(|i| unsafe {
            let x = _mm256_set1_epi32(x);
            let even = _mm256_and_si256(w[i], _mm256_set1_epi16(255));
            let odd = _mm256_srli_epi16::<8>(w[i]);
            let x_even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x));
            let x_odd = _mm256_srai_epi16::<8>(x);
            let sums = _mm256_add_epi32(
                _mm256_madd_epi16(even, x_even),
                _mm256_madd_epi16(odd, x_odd),
            );
            _mm256_add_epi32(acc[i], sums)
        }))
    }

    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        fma(a, b, c)
    }

    #[inline(always)]
    fn lookup(self, table: u8x16, index: B) -> B {
        self.lookup(table, index)
    }

    #[inline(always)]
    fn half(self, bits: u16x16) -> F {
        self.half(bits)
    }

    #[inline(always)]
    fn to_half(self, x: F) -> u16x16 {
        self.to_half(x)
    }
}

impl Isa for AvxVnni {
    const TILE_COLUMNS: usize = 4;
    const TILE_GROUPS: usize = 1;
    const FLOAT_VECTORS: usize = 1;

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        self.dot_u8(acc, w, x)
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        let (acc, w) = (acc.split(), w.split());
        let x = i32::from_le_bytes(x.map(|b| b as u8));
        // SAFETY: an `AvxVnni` exists only where AVX-VNNI was detected.
        I::join(
            [0, 1].map(|i| unsafe { _mm256_dpbusd_avx_epi32(acc[i], w[i], _mm256_set1_epi32(x)) }),
        )
    }

    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        fma(a, b, c)
    }

    #[inline(always)]
    fn lookup(self, table: u8x16, index: B) -> B {
        Avx2(()).lookup(table, index)
    }

    #[inline(always)]
    fn half(self, bits: u16x16) -> F {
        Avx2(()).half(bits)
    }

    #[inline(always)]
    fn to_half(self, x: F) -> u16x16 {
        Avx2(()).to_half(x)
    }
}

impl Isa for Avx512 {
    const TILE_COLUMNS: usize = 6;
    const TILE_GROUPS: usize = 2;
    const FLOAT_VECTORS: usize = 4;

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        self.dot_u8(acc, w, x)
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        let x = i32::from_le_bytes(x.map(|b| b as u8));
        // SAFETY: an `Avx512` exists only where AVX-512 VNNI was detected.
        unsafe { _mm512_dpbusd_epi32(acc.into(), w.into(), _mm512_set1_epi32(x)).into() }
    }

    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        fma(a, b, c)
    }

    #[inline(always)]
    fn lookup(self, table: u8x16, index: B) -> B {
        // SAFETY: an `Avx512` exists only where AVX-512 F and BW were detected.
        unsafe { _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table.into()), index.into()).into() }
    }

    #[inline(always)]
    fn half(self, bits: u16x16) -> F {
        // SAFETY: an `Avx512` exists only where AVX-512 F was detected.
        unsafe { _mm512_cvtph_ps(bits.into()).into() }
    }

    #[inline(always)]
    fn to_half(self, x: F) -> u16x16 {
        // SAFETY: an `Avx512` exists only where AVX-512 F was detected.
        unsafe { _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.into()).into() }
    }
}
