//! x86-64: AVX2, AVX-VNNI, AVX-512 with VNNI, and that with BF16.

use std::arch::x86_64::*;
use std::simd::prelude::*;

use super::{B, F, I, Isa, P};

/// AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub struct Avx2(pub(super) ());

/// AVX2 with the int8 dot product on 256 bits.
#[derive(Clone, Copy)]
pub struct AvxVnni(pub(super) ());

/// AVX-512 F, BW, VL, DQ and VNNI.
#[derive(Clone, Copy)]
pub struct Avx512(pub(super) ());

/// The same with BF16.
#[derive(Clone, Copy)]
pub struct Avx512Bf16(pub(super) ());

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

// What the two 256-bit levels and AVX-512 share. No closures here or in the impls: they would not
// take on the features of the entry.

/// # Safety
/// The CPU has AVX2; `w <= 127`, so that the 16-bit sums of two products, at most 2 · 127 · 128 in
/// size, do not saturate.
#[inline(always)]
unsafe fn dot_u7(acc: __m256i, w: __m256i, x: i32) -> __m256i {
    // SAFETY: the caller's condition.
    unsafe {
        let pairs = _mm256_maddubs_epi16(w, _mm256_set1_epi32(x));
        _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

/// Even and odd bytes as 16-bit numbers: no sum of their products saturates.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn dot_u8(acc: __m256i, w: __m256i, x: i32) -> __m256i {
    // SAFETY: the caller's condition.
    unsafe {
        let x = _mm256_set1_epi32(x);
        let even = _mm256_and_si256(w, _mm256_set1_epi16(255));
        let odd = _mm256_srli_epi16::<8>(w);
        let x_even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x));
        let x_odd = _mm256_srai_epi16::<8>(x);
        let sums = _mm256_add_epi32(_mm256_madd_epi16(even, x_even), _mm256_madd_epi16(odd, x_odd));
        _mm256_add_epi32(acc, sums)
    }
}

/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn lookup(table: u8x16, index: B) -> B {
    let [low, high] = index.split();
    // SAFETY: the caller's condition.
    unsafe {
        let table = _mm256_broadcastsi128_si256(table.into());
        B::join([_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high)])
    }
}

/// # Safety
/// The CPU has F16C.
#[inline(always)]
unsafe fn half(bits: u16x16) -> F {
    // SAFETY: the caller's condition; the arrays have the same sizes.
    unsafe {
        let [low, high]: [__m128i; 2] = std::mem::transmute(bits);
        std::mem::transmute([_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)])
    }
}

/// # Safety
/// The CPU has F16C.
#[inline(always)]
unsafe fn to_half(x: F) -> u16x16 {
    // SAFETY: the caller's condition; the arrays have the same sizes.
    unsafe {
        let [low, high]: [__m256; 2] = std::mem::transmute(x);
        std::mem::transmute([
            _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(low),
            _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(high),
        ])
    }
}

#[inline(always)]
fn fma(a: F, b: F, c: F) -> F {
    use std::simd::StdFloat;
    a.mul_add(b, c)
}

/// The operations that the two 256-bit levels have in common.
macro_rules! common {
    () => {
        const TILE_COLUMNS: usize = 4;
        const TILE_GROUPS: usize = 1;
        const FLOAT_VECTORS: usize = 1;

        #[inline(always)]
        fn fma(self, a: F, b: F, c: F) -> F {
            fma(a, b, c)
        }

        #[inline(always)]
        fn lookup(self, table: u8x16, index: B) -> B {
            // SAFETY: the level exists only where AVX2 was detected.
            unsafe { lookup(table, index) }
        }

        #[inline(always)]
        fn half(self, bits: u16x16) -> F {
            // SAFETY: the level exists only where F16C was detected.
            unsafe { half(bits) }
        }

        #[inline(always)]
        fn to_half(self, x: F) -> u16x16 {
            // SAFETY: the level exists only where F16C was detected.
            unsafe { to_half(x) }
        }
    };
}

impl Isa for Avx2 {
    common!();

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        let (acc, w, x) = (acc.split(), w.split(), dword(x));
        // SAFETY: an `Avx2` exists only where AVX2 was detected; bounds as the trait says.
        unsafe { I::join([dot_u7(acc[0], w[0], x), dot_u7(acc[1], w[1], x)]) }
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        let (acc, w, x) = (acc.split(), w.split(), dword(x));
        // SAFETY: an `Avx2` exists only where AVX2 was detected.
        unsafe { I::join([dot_u8(acc[0], w[0], x), dot_u8(acc[1], w[1], x)]) }
    }
}

impl Isa for AvxVnni {
    common!();

    #[inline(always)]
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
        self.dot_u8(acc, w, x)
    }

    #[inline(always)]
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
        let (acc, w) = (acc.split(), w.split());
        // SAFETY: an `AvxVnni` exists only where AVX-VNNI was detected.
        unsafe {
            let x = _mm256_set1_epi32(dword(x));
            I::join([
                _mm256_dpbusd_avx_epi32(acc[0], w[0], x),
                _mm256_dpbusd_avx_epi32(acc[1], w[1], x),
            ])
        }
    }
}

/// Four bytes as one number.
#[inline(always)]
fn dword(x: [i8; 4]) -> i32 {
    // SAFETY: the same size, any bits are valid.
    unsafe { std::mem::transmute(x) }
}

/// The operations that the AVX-512 levels have in common.
macro_rules! common512 {
    () => {
        const TILE_COLUMNS: usize = 6;
        const TILE_GROUPS: usize = 2;
        const FLOAT_VECTORS: usize = 4;
        const QUICK_TAKE: usize = 1024;

        #[inline(always)]
        fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I {
            self.dot_u8(acc, w, x)
        }

        #[inline(always)]
        fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I {
            // SAFETY: the level exists only where AVX-512 VNNI was detected.
            unsafe { _mm512_dpbusd_epi32(acc.into(), w.into(), _mm512_set1_epi32(dword(x))).into() }
        }

        #[inline(always)]
        fn fma(self, a: F, b: F, c: F) -> F {
            fma(a, b, c)
        }

        #[inline(always)]
        fn lookup(self, table: u8x16, index: B) -> B {
            // SAFETY: the level exists only where AVX-512 F and BW were detected.
            unsafe {
                _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table.into()), index.into()).into()
            }
        }

        #[inline(always)]
        fn take<const N: usize>(self, table: &[u16; N], index: [u32x16; 2]) -> [u32x16; 2] {
            const { assert!(N.is_multiple_of(64)) }
            let [mut first, mut second] = [__m512i::from(index[0]), __m512i::from(index[1])];
            // SAFETY: the level exists only where AVX-512 F and BW were detected; the loads are inside
            // the table.
            unsafe {
                let parts = [_mm512_srli_epi16::<6>(first), _mm512_srli_epi16::<6>(second)];
                for i in 0..N / 64 {
                    let low = table.as_ptr().add(64 * i).cast::<__m512i>();
                    let (low, high) = (low.read_unaligned(), low.add(1).read_unaligned());
                    let part = _mm512_set1_epi16(i as i16);
                    // Elsewhere an index stays, or what it has led to.
                    let here = _mm512_cmpeq_epi16_mask(parts[0], part);
                    first = _mm512_mask2_permutex2var_epi16(low, first, here, high);
                    let here = _mm512_cmpeq_epi16_mask(parts[1], part);
                    second = _mm512_mask2_permutex2var_epi16(low, second, here, high);
                }
            }
            [first.into(), second.into()]
        }

        #[inline(always)]
        fn half(self, bits: u16x16) -> F {
            // SAFETY: the level exists only where AVX-512 F was detected.
            unsafe { _mm512_cvtph_ps(bits.into()).into() }
        }

        #[inline(always)]
        fn to_half(self, x: F) -> u16x16 {
            // SAFETY: the level exists only where AVX-512 F was detected.
            unsafe { _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.into()).into() }
        }
    };
}

impl Isa for Avx512 {
    common512!();
}

impl Isa for Avx512Bf16 {
    common512!();

    const PAIRS: bool = true;

    #[inline(always)]
    fn pairs(self, first: F, second: F) -> P {
        // SAFETY: an `Avx512Bf16` exists only where AVX-512 BF16 and BW were detected; the vectors have
        // the same sizes.
        unsafe {
            let halves: u16x32 =
                std::mem::transmute(_mm512_cvtne2ps_pbh(second.into(), first.into()));
            _mm512_permutexvar_epi16(PAIR.into(), halves.into()).into()
        }
    }

    #[inline(always)]
    fn dot_pairs(self, acc: F, a: P, b: P) -> F {
        // SAFETY: an `Avx512Bf16` exists only where AVX-512 BF16 was detected; the vectors have the same
        // sizes.
        unsafe {
            let [a, b]: [__m512bh; 2] = std::mem::transmute([a, b]);
            _mm512_dpbf16_ps(acc.into(), a, b).into()
        }
    }
}

/// What puts two vectors of 16 halves together lane by lane.
const PAIR: u16x32 = u16x32::from_array([
    0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
    13, 29, 14, 30, 15, 31,
]);
