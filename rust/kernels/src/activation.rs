//! The functions between the matrices of a feed-forward layer.

use std::simd::Select;
use std::simd::prelude::*;

use crate::isa::{F, Isa};
use crate::math::{exp, silu};
use crate::profile::Part;
use crate::team::Team;
use crate::vector::{Function, Op, map, zip};

/// A function of single values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
    /// `x Φ(x)` (Hendrycks and Gimpel 2016, arXiv:1606.08415).
    Gelu,
    /// Its approximation `x / 2 (1 + tanh(sqrt(2 / π) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// Its approximation `x / (1 + e^(-1.702 x))`.
    GeluQuick,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2` (So et al. 2021, arXiv:2109.08668).
    ReluSquared,
    /// `x / (1 + e^(-1.702 x))` of `min(x, 7)`; as a gate, times 1 + the other value within ±7
    /// (gpt-oss, arXiv:2508.10925).
    SiluClamped,
    /// xIELU (Huang and Schlag 2024, arXiv:2411.13010): `p x^2 + b x` above 0, and below
    /// `n (e^min(x, eps) - 1 - x) + b x`.
    Xielu {
        /// The factor above 0.
        p: f32,
        /// The factor below 0.
        n: f32,
        /// The slope at 0.
        b: f32,
        /// The bound of the exponent.
        eps: f32,
    },
}

/// `x = f(x)`.
pub fn activate(team: &Team, f: Activation, x: &mut [f32]) {
    by_kind(team, f, x, None);
}

/// `gate = f(gate) * up`.
pub fn activate_gate(team: &Team, f: Activation, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len());
    by_kind(team, f, gate, Some(up));
}

fn by_kind(team: &Team, f: Activation, x: &mut [f32], up: Option<&[f32]>) {
    let _part = team.part(Part::Activation);
    match f {
        Activation::Silu => run(team, x, up, Silu),
        Activation::Gelu => run(team, x, up, Gelu),
        Activation::GeluTanh => run(team, x, up, GeluTanh),
        Activation::GeluQuick => run(team, x, up, GeluQuick),
        Activation::Relu => run(team, x, up, Relu),
        Activation::ReluSquared => run(team, x, up, ReluSquared),
        Activation::SiluClamped => run(team, x, up, SiluClamped),
        Activation::Xielu { p, n, b, eps } => run(team, x, up, Xielu { p, n, b, eps }),
    }
}

/// What the other value of a gated pair becomes; all of it must be `#[inline(always)]`.
trait Gating: Function {
    #[inline(always)]
    fn up(self, up: F) -> F {
        up
    }
}

/// `x = f(x) * y`.
#[derive(Clone, Copy)]
struct Gate<G>(G);
impl<G: Gating> Op for Gate<G> {
    #[inline(always)]
    fn of<A: Isa>(self, isa: A, x: F, y: F) -> F {
        self.0.of(isa, x) * self.0.up(y)
    }
}

macro_rules! functions {
    ($($name:ident: |$isa:ident, $x:ident| $value:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $name;
            impl Function for $name {
                #[inline(always)]
                fn of<A: Isa>(self, $isa: A, $x: F) -> F {
                    $value
                }
            }
            impl Gating for $name {}
        )*
    };
}

functions! {
    Silu: |isa, x| silu(isa, x);
    Gelu: |isa, x| gelu(isa, x);
    GeluTanh: |isa, x| {
        // (1 + tanh(u)) / 2 = 1 / (1 + e^(-2u))
        let u = x * isa.fma(x * x, F::splat(0.044_715 * 1.595_769), F::splat(1.595_769));
        x / (F::splat(1.0) + exp(isa, -u))
    };
    GeluQuick: |isa, x| x / (F::splat(1.0) + exp(isa, x * F::splat(-1.702)));
    Relu: |_isa, x| x.simd_max(F::splat(0.0));
    ReluSquared: |_isa, x| {
        let x = x.simd_max(F::splat(0.0));
        x * x
    };
}

#[derive(Clone, Copy)]
struct SiluClamped;
impl Function for SiluClamped {
    #[inline(always)]
    fn of<A: Isa>(self, isa: A, x: F) -> F {
        GeluQuick.of(isa, x.simd_min(F::splat(7.0)))
    }
}
impl Gating for SiluClamped {
    #[inline(always)]
    fn up(self, up: F) -> F {
        up.simd_clamp(F::splat(-7.0), F::splat(7.0)) + F::splat(1.0)
    }
}

#[derive(Clone, Copy)]
struct Xielu {
    p: f32,
    n: f32,
    b: f32,
    eps: f32,
}
impl Function for Xielu {
    #[inline(always)]
    fn of<A: Isa>(self, isa: A, x: F) -> F {
        let below = exp(isa, x.simd_min(F::splat(self.eps))) - F::splat(1.0) - x;
        let curved =
            x.simd_gt(F::splat(0.0)).select(F::splat(self.p) * x * x, F::splat(self.n) * below);
        isa.fma(F::splat(self.b), x, curved)
    }
}
impl Gating for Xielu {}

/// `x Φ(x)`: erfc by Abramowitz and Stegun 7.1.26, whose error is below 1.5e-7.
#[inline(always)]
fn gelu<A: Isa>(isa: A, x: F) -> F {
    let z = x.abs() * F::splat(std::f32::consts::FRAC_1_SQRT_2);
    let t = F::splat(1.0) / isa.fma(z, F::splat(0.327_591_1), F::splat(1.0));
    let mut p = F::splat(1.061_405_4);
    for c in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = isa.fma(p, t, F::splat(c));
    }
    let half = F::splat(0.5) * p * t * exp(isa, -z * z);
    x * x.simd_lt(F::splat(0.0)).select(half, F::splat(1.0) - half)
}

fn run<G: Gating>(team: &Team, x: &mut [f32], up: Option<&[f32]>, f: G) {
    match up {
        Some(up) => zip(team, x, up, Gate(f)),
        None => map(team, x, f),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    /// `erf` by its series, in double precision, as far as that converges well.
    fn erf(x: f64) -> f64 {
        if x.abs() > 4.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    fn expected(f: Activation, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match f {
            Activation::Silu => x * sigmoid(x),
            Activation::Gelu => x * 0.5 * (1.0 + erf(x / 2f64.sqrt())),
            Activation::GeluTanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + u.tanh())
            }
            Activation::GeluQuick => x * sigmoid(1.702 * x),
            Activation::Relu => x.max(0.0),
            Activation::ReluSquared => x.max(0.0).powi(2),
            Activation::SiluClamped => x.min(7.0) * sigmoid(1.702 * x.min(7.0)),
            Activation::Xielu { p, n, b, eps } => {
                let [p, n, b, eps] = [p, n, b, eps].map(f64::from);
                let below = n * (x.min(eps).exp_m1() - x);
                b * x + if x > 0.0 { p * x * x } else { below }
            }
        }
    }

    #[test]
    fn functions_agree_with_double_precision() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        let xielu = Activation::Xielu { p: 0.8, n: 1.3, b: 0.5, eps: -1e-6 };
        for f in [
            Activation::Silu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::GeluQuick,
            Activation::Relu,
            Activation::ReluSquared,
            Activation::SiluClamped,
            xielu,
        ] {
            for n in [1, 15, 16, 100, 40_003] {
                let x: Vec<f32> = noise(n, 1).iter().map(|x| 2.5 * x).collect();
                let up: Vec<f32> = noise(n, 2).iter().map(|x| 4.0 * x).collect();
                let (mut plain, mut gated) = (x.clone(), x.clone());
                activate(&team, f, &mut plain);
                activate_gate(&team, f, &mut gated, &up);
                for i in 0..n {
                    let expected = expected(f, f64::from(x[i]));
                    let up = match f {
                        Activation::SiluClamped => f64::from(up[i]).clamp(-7.0, 7.0) + 1.0,
                        _ => f64::from(up[i]),
                    };
                    for (got, expected) in [(plain[i], expected), (gated[i], expected * up)] {
                        let error = (f64::from(got) - expected).abs();
                        let bound =
                            2e-6 * expected.abs().max(if got == plain[i] { 0.5 } else { 8.0 });
                        assert!(error <= bound, "{f:?} of {}: {got} for {expected}", x[i]);
                    }
                }
            }
        }
    }
}
