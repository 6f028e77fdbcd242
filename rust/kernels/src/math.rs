//! Functions of vectors.

use std::simd::Select;
use std::simd::prelude::*;

use crate::isa::{F, Isa};

/// `e^x` to within 2 units in the last place; 0 below -87.3, and infinity above 88.7.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`; `e^r` by its Taylor polynomial, whose next term is below
/// 2^-26 there, and `2^n` in two factors so that neither leaves the range of exponents.
#[inline(always)]
pub fn exp<A: Isa>(isa: A, x: F) -> F {
    let clamped = x.simd_clamp(F::splat(-110.0), F::splat(90.0));
    // Adding 1.5 · 2^23 rounds to an integer, left in the low bits.
    let magic = F::splat(12_582_912.0);
    let shifted = isa.fma(clamped, F::splat(std::f32::consts::LOG2_E), magic);
    let n = shifted - magic;
    // ln 2 in two parts, the first of which is exact with n.
    let r = isa.fma(n, F::splat(-0.693_359_4), clamped);
    let r = isa.fma(n, F::splat(2.121_944_4e-4), r);
    let mut p = F::splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = isa.fma(p, r, F::splat(c));
    }
    let n = shifted.to_bits().cast::<i32>() - magic.to_bits().cast::<i32>();
    let half = n >> Simd::splat(1);
    let power = |n: i32x16| F::from_bits((n + Simd::splat(127)).cast::<u32>() << Simd::splat(23));
    let value = p * power(half) * power(n - half);
    let value = x.simd_lt(F::splat(-87.336)).select(F::splat(0.0), value);
    let value = x.simd_gt(F::splat(88.73)).select(F::splat(f32::INFINITY), value);
    x.is_nan().select(x, value)
}

/// `2^x` for `x <= 0`, with a relative error below 3e-7; 0 below -125.
///
/// `x = n + r` with `|r| <= 1/2`; `2^r` by a polynomial of degree 5 with the least relative error of
/// those that are 1 at 0.
#[inline(always)]
pub fn exp2<A: Isa>(isa: A, x: F) -> F {
    // Adding 1.5 · 2^23 rounds to an integer, left in the low bits.
    let magic = F::splat(12_582_912.0);
    let shifted = x + magic;
    let r = x - (shifted - magic);
    let mut p = F::splat(0.001_327_647_1);
    for c in [0.009_675_542, 0.055_507_135, 0.240_221_2, 0.693_146_94, 1.0] {
        p = isa.fma(p, r, F::splat(c));
    }
    let value = F::from_bits(p.to_bits() + (shifted.to_bits() << Simd::splat(23)));
    x.simd_lt(F::splat(-125.0)).select(F::splat(0.0), value)
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub fn silu<A: Isa>(isa: A, x: F) -> F {
    x / (F::splat(1.0) + exp(isa, -x))
}

/// `tanh x` to within 4 units in the last place.
///
/// `(e^2x - 1) / (e^2x + 1)`; where that would cancel, the continued fraction of 5 terms, whose error is
/// below 2^-26 of the value for `|x| < 0.625`.
#[inline(always)]
pub fn tanh<A: Isa>(isa: A, x: F) -> F {
    let size = x.abs();
    let power = exp(isa, size + size);
    let large = F::splat(1.0) - F::splat(2.0) / (power + F::splat(1.0));
    let y = x * x;
    // x (945 + 105 y + y^2) / (945 + 420 y + 15 y^2)
    let over = isa.fma(isa.fma(y, F::splat(1.0), F::splat(105.0)), y, F::splat(945.0));
    let under = isa.fma(isa.fma(y, F::splat(15.0), F::splat(420.0)), y, F::splat(945.0));
    let value = size.simd_lt(F::splat(0.625)).select(size * over / under, large);
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Kernel, LEVELS, dispatch_at};

    struct Exp2(F);
    impl Kernel for Exp2 {
        type Output = F;
        #[inline(always)]
        fn run<A: Isa>(self, isa: A) -> F {
            exp2(isa, self.0)
        }
    }

    #[test]
    fn exp2_is_near() {
        for &level in LEVELS.iter() {
            for i in 0..12_500 {
                let x = i as f32 * -0.01;
                let got = dispatch_at(level, Exp2(F::splat(x)))[7];
                let error = (f64::from(got) / f64::from(x).exp2() - 1.0).abs();
                assert!(error < 3e-7, "{x}: {got} at {}", level.name());
            }
            for (x, expected) in [(0.0, 1.0), (-1e30, 0.0), (f32::NEG_INFINITY, 0.0), (-3.0, 0.125)]
            {
                assert_eq!(dispatch_at(level, Exp2(F::splat(x)))[0], expected);
            }
            assert!(dispatch_at(level, Exp2(F::splat(f32::NAN)))[0].is_nan());
        }
    }

    struct Tanh(F);
    impl Kernel for Tanh {
        type Output = F;
        #[inline(always)]
        fn run<A: Isa>(self, isa: A) -> F {
            tanh(isa, self.0)
        }
    }

    #[test]
    fn tanh_is_near() {
        for &level in LEVELS.iter() {
            for i in -20_000..20_000 {
                let x = (i as f32 * 1e-3).powi(3) * 0.02;
                let got = dispatch_at(level, Tanh(F::splat(x)))[5];
                let expected = f64::from(x).tanh();
                let error = (f64::from(got) - expected).abs();
                assert!(error <= 3e-7 * expected.abs(), "{x}: {got} for {expected}");
            }
            for (x, expected) in [(f32::INFINITY, 1.0), (-1e30, -1.0), (-0.0, 0.0), (1e-30, 1e-30)]
            {
                assert_eq!(dispatch_at(level, Tanh(F::splat(x)))[0], expected);
            }
            assert!(dispatch_at(level, Tanh(F::splat(f32::NAN)))[0].is_nan());
        }
    }

    struct Exp(F);
    impl Kernel for Exp {
        type Output = F;
        #[inline(always)]
        fn run<A: Isa>(self, isa: A) -> F {
            exp(isa, self.0)
        }
    }

    #[test]
    fn exp_is_near() {
        for &level in LEVELS.iter() {
            for i in 0..20_000 {
                let x = -90.0 + i as f32 * 0.009;
                let got = dispatch_at(level, Exp(F::splat(x)))[3];
                let expected = f64::from(x).exp();
                if x < -87.336 {
                    assert_eq!(got, 0.0);
                } else if x > 88.72 {
                    assert!(got > 3e38);
                } else {
                    let error = (f64::from(got) / expected - 1.0).abs();
                    assert!(error < 3e-7, "{x}: {got} for {expected} at {}", level.name());
                }
            }
            let special = F::from_array([
                f32::NEG_INFINITY,
                f32::INFINITY,
                f32::NAN,
                0.0,
                -0.0,
                -1e30,
                1e30,
                -88.0,
                1.0,
                2.0,
                3.0,
                4.0,
                5.0,
                6.0,
                7.0,
                8.0,
            ]);
            let got = dispatch_at(level, Exp(special));
            assert_eq!(
                (got[0], got[1], got[3], got[4], got[5]),
                (0.0, f32::INFINITY, 1.0, 1.0, 0.0)
            );
            assert!(got[2].is_nan() && got[6] == f32::INFINITY);
        }
    }
}
