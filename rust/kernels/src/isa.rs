//! Instruction sets: the only place that names one.
//!
//! A kernel is written once, over the logical vectors of 16 lanes below, and compiled for every
//! level. `std::simd` gives all of the arithmetic but four operations, which are the trait [`Isa`].
//! A level's entry point alone carries `#[target_feature]`; the kernel and everything it calls is
//! `#[inline(always)]` without it, and so takes on the features of the entry it lands in. Threads are
//! therefore started outside and [`dispatch`] is called inside, once per share of the work.

use std::simd::Select;
use std::simd::prelude::*;
use std::sync::LazyLock;

#[cfg(target_arch = "aarch64")]
mod arm;
mod denormals;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use denormals::FlushDenormals;

/// Lanes of the logical vector, whatever the hardware's: LLVM splits it where registers are shorter.
pub const LANES: usize = 16;

/// 16 floats.
pub type F = f32x16;
/// 16 integer sums.
pub type I = i32x16;
/// 16 groups of four bytes.
pub type B = u8x64;
/// 16 pairs of bfloat16.
pub type P = u32x16;

/// A proof that the running CPU has some instruction set: only [`dispatch_at`] makes one.
pub trait Isa: Copy {
    /// Columns (tokens) of the integer tile, whose height is `TILE_GROUPS` × 16 rows: as many as
    /// leave the registers for their sums.
    const TILE_COLUMNS: usize;
    /// Groups of 16 rows in the integer tile, 1 or 2.
    const TILE_GROUPS: usize;
    /// Vectors of 16 lanes in a row of the float tile, 1, 2 or 4.
    const FLOAT_VECTORS: usize;

    /// `acc[i] + w[4i..4i + 4] · x` for `w <= 127`, `x` being four signed bytes.
    fn dot_u7(self, acc: I, w: B, x: [i8; 4]) -> I;

    /// The same for any `w`.
    fn dot_u8(self, acc: I, w: B, x: [i8; 4]) -> I;

    /// `a * b + c`, in one rounding where the hardware has it.
    fn fma(self, a: F, b: F, c: F) -> F;

    /// `table[index]` for every byte; `index < 16`.
    fn lookup(self, table: u8x16, index: B) -> B;

    /// Up to which length of a table [`Isa::take`] is quicker than loading one by one.
    const QUICK_TAKE: usize = 0;

    /// `table[index]` for both 16-bit halves of every lane of two vectors; `N` is a multiple of 64
    /// and `index < N`.
    #[inline(always)]
    fn take<const N: usize>(self, table: &[u16; N], index: [u32x16; 2]) -> [u32x16; 2] {
        let mut out = index;
        for out in &mut out {
            for lane in out.as_mut_array() {
                let [low, high] =
                    [*lane & 0xffff, *lane >> 16].map(|i| u32::from(table[i as usize]));
                *lane = low | high << 16;
            }
        }
        out
    }

    /// Half-precision bits to floats.
    fn half(self, bits: u16x16) -> F;

    /// Floats to half-precision bits, to nearest even.
    fn to_half(self, x: F) -> u16x16;

    /// Whether [`Isa::dot_pairs`] is one instruction.
    const PAIRS: bool = false;

    /// Lane by lane two floats rounded to bfloat16, to nearest even, the first in the low half.
    #[inline(always)]
    fn pairs(self, first: F, second: F) -> P {
        round(first) >> Simd::splat(16) | round(second) & Simd::splat(0xffff_0000)
    }

    /// Lane by lane `acc + a.0 * b.0 + a.1 * b.1`.
    #[inline(always)]
    fn dot_pairs(self, acc: F, a: P, b: P) -> F {
        let high = Simd::splat(0xffff_0000);
        let sum = self.fma(F::from_bits(a & high), F::from_bits(b & high), acc);
        let (a, b) = (a << Simd::splat(16), b << Simd::splat(16));
        self.fma(F::from_bits(a), F::from_bits(b), sum)
    }
}

/// To nearest even in the upper 16 bits; what is below is of no meaning.
#[inline(always)]
fn round(x: F) -> P {
    let bits = x.to_bits();
    let odd = (bits >> Simd::splat(16)) & Simd::splat(1);
    // A NaN could become an infinity.
    x.is_nan().select(bits | Simd::splat(0x40_0000), bits + Simd::splat(0x7fff) + odd)
}

/// A loop to be compiled once for each instruction set.
pub trait Kernel {
    /// What it gives back.
    type Output;
    /// Whether it takes products of pairs; one that does not is not compiled for levels that add
    /// nothing else.
    const PAIRS: bool = false;
    /// The loop; must be `#[inline(always)]`.
    fn run<A: Isa>(self, isa: A) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
macro_rules! detected {
    ($feature:tt) => {
        std::arch::is_x86_feature_detected!($feature)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! detected {
    ($feature:tt) => {
        std::arch::is_aarch64_feature_detected!($feature)
    };
}

macro_rules! levels {
    ($($(#[$on:meta])* $level:ident, $name:literal: $isa:expr, [$($feature:tt),*];)*) => {
        /// An instruction-set level, from the least to the most capable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Level {
            /// What every CPU of the architecture has.
            Portable,
            $($(#[$on])* #[doc = concat!("`", $name, "`.")] $level),*
        }

        /// Every level that this CPU has, the least first.
        pub static LEVELS: LazyLock<Vec<Level>> = LazyLock::new(|| {
            let mut found = vec![Level::Portable];
            $($(#[$on])* if true $(&& detected!($feature))* { found.push(Level::$level); })*
            found
        });

        impl Level {
            /// The name that `FARTHING_ISA` takes.
            pub fn name(self) -> &'static str {
                match self {
                    Level::Portable => "portable",
                    $($(#[$on])* Level::$level => $name),*
                }
            }
        }

        /// Runs the kernel at a level, which must be one of [`LEVELS`].
        pub fn dispatch_at<K: Kernel>(level: Level, kernel: K) -> K::Output {
            assert!(LEVELS.contains(&level), "this CPU has no {}", level.name());
            match if K::PAIRS { level } else { level.without_pairs() } {
                Level::Portable => kernel.run(portable::Portable),
                $($(#[$on])* Level::$level => {
                    $(#[target_feature(enable = $feature)])*
                    fn entry<K: Kernel>(kernel: K) -> K::Output {
                        if const { K::PAIRS || !has_pairs(&$isa) } {
                            kernel.run($isa)
                        } else {
                            unreachable!("a level whose pairs are of no use")
                        }
                    }
                    // SAFETY: LEVELS holds `level`, so each of the features was detected.
                    unsafe { entry(kernel) }
                })*
            }
        }
    };
}

impl Level {
    /// Whether it has products of pairs of bfloat16 as one instruction.
    pub(crate) fn has_pairs(self) -> bool {
        self.without_pairs() != self
    }

    /// The level that is the same but for products of pairs.
    fn without_pairs(self) -> Level {
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => Level::Avx512,
            level => level,
        }
    }
}

const fn has_pairs<A: Isa>(_: &A) -> bool {
    A::PAIRS
}

levels! {
    #[cfg(target_arch = "x86_64")]
    Avx2, "avx2": x86::Avx2(()), ["avx2", "fma", "f16c"];
    #[cfg(target_arch = "x86_64")]
    AvxVnni, "avxvnni": x86::AvxVnni(()), ["avx2", "fma", "f16c", "avxvnni"];
    #[cfg(target_arch = "x86_64")]
    Avx512, "avx512": x86::Avx512(()),
        ["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni"];
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16, "avx512bf16": x86::Avx512Bf16(()),
        ["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni",
            "avx512bf16"];
    #[cfg(target_arch = "aarch64")]
    Dotprod, "dotprod": arm::Dotprod(()), ["neon", "dotprod"];
    #[cfg(target_arch = "aarch64")]
    I8mm, "i8mm": arm::I8mm(()), ["neon", "dotprod", "i8mm"];
}

/// The level in use: the best one, or the one that the environment variable `FARTHING_ISA` names.
pub static LEVEL: LazyLock<Result<Level, String>> = LazyLock::new(|| {
    let Some(wanted) = std::env::var_os("FARTHING_ISA") else {
        return Ok(LEVELS[LEVELS.len() - 1]);
    };
    let wanted = wanted.to_string_lossy();
    let known = LEVELS.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
    LEVELS
        .iter()
        .copied()
        .find(|l| l.name().eq_ignore_ascii_case(&wanted))
        .ok_or_else(|| format!("FARTHING_ISA={wanted}: this CPU has {known}"))
});

/// Runs the kernel at the level in use; an unusable `FARTHING_ISA` falls back to the best level
/// here, and is an error where a model is loaded.
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    dispatch_at(level(), kernel)
}

/// The level that [`dispatch`] uses.
pub fn level() -> Level {
    LEVEL.as_ref().copied().unwrap_or(LEVELS[LEVELS.len() - 1])
}

/// Asks for memory that is needed soon; any address will do.
#[inline(always)]
pub fn prefetch(start: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..len).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults, and every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, len);
}

/// The same for memory that is needed later, or by another core: only the second-level cache keeps it.
#[inline(always)]
pub fn prefetch_l2(start: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..len).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(start.wrapping_add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, len);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    struct Pairs([F; 5]);
    impl Kernel for Pairs {
        type Output = (P, F);
        const PAIRS: bool = true;
        #[inline(always)]
        fn run<A: Isa>(self, isa: A) -> (P, F) {
            let [a, b, c, d, acc] = self.0;
            let (first, second) = (isa.pairs(a, b), isa.pairs(c, d));
            (first, isa.dot_pairs(acc, first, second))
        }
    }

    #[test]
    fn pairs_are_bfloat16() {
        for &level in LEVELS.iter() {
            let x = noise(80, 5);
            let numbers = [0, 16, 32, 48, 64].map(|i| F::from_slice(&x[i..]));
            let (pairs, sums) = dispatch_at(level, Pairs(numbers));
            for i in 0..LANES {
                let (first, second) = (pairs[i] << 16, pairs[i] & 0xffff_0000);
                for (got, exact) in [(first, numbers[0][i]), (second, numbers[1][i])] {
                    let got = f32::from_bits(got);
                    assert!((got - exact).abs() <= exact.abs() / 256.0, "{got} for {exact}");
                }
                let exact =
                    numbers[4][i] + numbers[0][i] * numbers[2][i] + numbers[1][i] * numbers[3][i];
                let error = (sums[i] - exact).abs();
                assert!(error < 0.03, "{} for {exact} at {}", sums[i], level.name());
            }
            // Ties go to even.
            let tie = |low: u32| F::splat(f32::from_bits(0x3f80_0000 + low));
            let numbers = [tie(0x8000), tie(0x1_8000), tie(0), tie(0), tie(0)];
            assert_eq!(dispatch_at(level, Pairs(numbers)).0[0], 0x3f82_3f80);
        }
    }
}
