//! Elementwise operations.

use std::ops::Range;
use std::simd::prelude::*;

use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::math::{self, exp};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Elements below which another thread does not pay.
const GRAIN: usize = 1 << 14;

/// `x += y`.
pub fn add(team: &Team, x: &mut [f32], y: &[f32]) {
    let _part = team.part(Part::Residual);
    zip(team, x, y, Add);
}

/// Adds `bias` to every row of `x`, `[n][bias]`.
///
/// # Panics
/// `x` has no whole rows.
pub fn add_bias(team: &Team, x: &mut [f32], bias: &[f32]) {
    let d = bias.len();
    team.for_rows(x, d, GRAIN.div_ceil(d.max(1)), &|_, rows| {
        for x in rows.chunks_exact_mut(d) {
            dispatch(Zip { x, y: bias, f: Add });
        }
    });
}

/// Weighted sums of rows: `out[i] = sum over j of weight * x[row]`, with `(row, weight) = picks[i][j]`
/// and `picks` being `[n][used]`, `x` `[rows][d]` and `out` `[n][d]`. How experts' outputs meet.
///
/// # Panics
/// Sizes that do not agree, or a row that is not there.
pub fn weighted_sums(team: &Team, x: &[f32], picks: &[(u32, f32)], d: usize, out: &mut [f32]) {
    let _part = team.part(Part::Gather);
    let used = picks.len() * d / out.len().max(1);
    assert_eq!(picks.len() * d, used * out.len(), "{} picks for {} rows", picks.len(), out.len());
    team.for_rows(out, d, GRAIN.div_ceil(d * used.max(1)), &|first, rows| {
        for (i, out) in (first..).zip(rows.chunks_exact_mut(d)) {
            dispatch(WeightedSum { x, picks: &picks[i * used..][..used], out });
        }
    });
}

struct WeightedSum<'a> {
    x: &'a [f32],
    picks: &'a [(u32, f32)],
    out: &'a mut [f32],
}

impl Kernel for WeightedSum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let d = self.out.len();
        for start in (0..d).step_by(LANES) {
            let end = (start + LANES).min(d);
            let mut sum = F::splat(0.0);
            for &(row, weight) in self.picks {
                let x = &self.x[row as usize * d..][start..end];
                sum = isa.fma(F::load_or_default(x), F::splat(weight), sum);
            }
            self.out[start..end].copy_from_slice(&sum.as_array()[..end - start]);
        }
    }
}

/// `x += factor * y`.
pub fn add_times(team: &Team, x: &mut [f32], y: &[f32], factor: f32) {
    let _part = team.part(Part::Residual);
    zip(team, x, y, AddTimes(factor));
}

/// `x *= y`.
pub fn mul(team: &Team, x: &mut [f32], y: &[f32]) {
    zip(team, x, y, Mul);
}

/// `x *= 1 / (1 + e^-y)`.
pub fn mul_sigmoid(team: &Team, x: &mut [f32], y: &[f32]) {
    zip(team, x, y, MulSigmoid);
}

/// `x *= factor`.
pub fn scale(team: &Team, x: &mut [f32], factor: f32) {
    map(team, x, Scale(factor));
}

/// `x = 1 / (1 + e^-x)`.
pub fn sigmoid(team: &Team, x: &mut [f32]) {
    map(team, x, Sigmoid);
}

/// `x = tanh x`.
pub fn tanh(team: &Team, x: &mut [f32]) {
    map(team, x, Tanh);
}

/// `x = e^(factor * x)`.
pub fn exp_of_times(team: &Team, x: &mut [f32], factor: f32) {
    map(team, x, ExpOfTimes(factor));
}

/// `x = cap * tanh(x / cap)`.
pub fn softcap(team: &Team, x: &mut [f32], cap: f32) {
    map(team, x, Softcap(cap));
}

/// `x` within `±limit`.
pub fn clamp(team: &Team, x: &mut [f32], limit: f32) {
    map(team, x, Clamp(limit));
}

/// A function of an element; all of it must be `#[inline(always)]`.
pub(crate) trait Function: Copy + Sync {
    fn of<A: Isa>(self, isa: A, x: F) -> F;
}

/// What becomes of the first of two elements; all of it must be `#[inline(always)]`.
pub(crate) trait Op: Copy + Sync {
    fn of<A: Isa>(self, isa: A, x: F, y: F) -> F;
}

macro_rules! operations {
    ($($trait:ident $name:ident $(($field:ident))?: |$self:ident, $isa:ident, $($x:ident),*| $value:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $name $((operations!(@type $field)))?;
            impl $trait for $name {
                #[inline(always)]
                fn of<A: Isa>($self, $isa: A, $($x: F),*) -> F {
                    $value
                }
            }
        )*
    };
    (@type $field:ident) => { f32 };
}

operations! {
    Op Add: |self, _isa, x, y| x + y;
    Op AddTimes(factor): |self, isa, x, y| isa.fma(F::splat(self.0), y, x);
    Op Mul: |self, _isa, x, y| x * y;
    Op MulSigmoid: |self, isa, x, y| x / (F::splat(1.0) + exp(isa, -y));
    Function Scale(factor): |self, _isa, x| x * F::splat(self.0);
    Function Sigmoid: |self, isa, x| F::splat(1.0) / (F::splat(1.0) + exp(isa, -x));
    Function Tanh: |self, isa, x| math::tanh(isa, x);
    Function ExpOfTimes(factor): |self, isa, x| exp(isa, F::splat(self.0) * x);
    Function Softcap(cap): |self, isa, x| {
        // tanh(u) = 1 - 2 / (e^(2u) + 1)
        let e = exp(isa, x * F::splat(2.0 / self.0));
        F::splat(self.0) - F::splat(2.0 * self.0) / (e + F::splat(1.0))
    };
    Function Clamp(limit): |self, _isa, x| x.simd_clamp(F::splat(-self.0), F::splat(self.0));
}

/// `x = f(x)` for every element.
pub(crate) fn map<O: Function>(team: &Team, x: &mut [f32], f: O) {
    shared(team, x, &|_, x| dispatch(Map { x, f }));
}

/// `x = f(x, y)` for every pair of elements.
pub(crate) fn zip<O: Op>(team: &Team, x: &mut [f32], y: &[f32], f: O) {
    assert_eq!(x.len(), y.len());
    shared(team, x, &|at, x| dispatch(Zip { y: &y[at..at + x.len()], x, f }));
}

/// Gives parts of `x` and where they begin to the threads.
fn shared(team: &Team, x: &mut [f32], run: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    let n = x.len();
    let x = RawMut::new(x);
    team.for_each(n.div_ceil(LANES), GRAIN / LANES, &|vectors: Range<usize>| {
        let (start, end) = (vectors.start * LANES, (vectors.end * LANES).min(n));
        // SAFETY: each element is written by one caller.
        run(start, unsafe { x.slice(start, end - start) });
    });
}

struct Map<'a, O> {
    x: &'a mut [f32],
    f: O,
}

impl<O: Function> Kernel for Map<'_, O> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let mut xs = self.x.chunks_exact_mut(LANES);
        for x in xs.by_ref() {
            self.f.of(isa, F::from_slice(x)).copy_to_slice(x);
        }
        let x = xs.into_remainder();
        let result = self.f.of(isa, F::load_or_default(x));
        x.copy_from_slice(&result.as_array()[..x.len()]);
    }
}

struct Zip<'a, O> {
    x: &'a mut [f32],
    y: &'a [f32],
    f: O,
}

impl<O: Op> Kernel for Zip<'_, O> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let mut xs = self.x.chunks_exact_mut(LANES);
        let mut ys = self.y.chunks_exact(LANES);
        for (x, y) in xs.by_ref().zip(ys.by_ref()) {
            self.f.of(isa, F::from_slice(x), F::from_slice(y)).copy_to_slice(x);
        }
        let (x, y) = (xs.into_remainder(), ys.remainder());
        let result = self.f.of(isa, F::load_or_default(x), F::load_or_default(y));
        x.copy_from_slice(&result.as_array()[..x.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    fn check(got: &[f32], expected: impl Iterator<Item = f64>) {
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            let error = (f64::from(*got) - expected).abs();
            assert!(error <= 2e-6 * expected.abs().max(0.1), "{i}: {got} for {expected}");
        }
    }

    #[test]
    fn operations_agree_with_double_precision() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        for n in [1, 15, 16, 100, 40_003] {
            let (x, y) = (noise(n, 1), noise(n, 2));
            let pairs = || x.iter().zip(&y).map(|(&x, &y)| (f64::from(x), f64::from(y)));
            let mut sum = x.clone();
            add(&team, &mut sum, &y);
            check(&sum, pairs().map(|(x, y)| x + y));
            let mut sum = x.clone();
            add_times(&team, &mut sum, &y, 0.3);
            check(&sum, pairs().map(|(x, y)| x + f64::from(0.3f32) * y));
            let mut product = x.clone();
            mul(&team, &mut product, &y);
            check(&product, pairs().map(|(x, y)| x * y));
            let mut gated = x.clone();
            mul_sigmoid(&team, &mut gated, &y);
            check(&gated, pairs().map(|(x, y)| x / (1.0 + (-y).exp())));
            let mut scaled = x.clone();
            scale(&team, &mut scaled, 0.3);
            check(&scaled, pairs().map(|(x, _)| x * f64::from(0.3f32)));
            let mut shares = x.clone();
            sigmoid(&team, &mut shares);
            check(&shares, pairs().map(|(x, _)| 1.0 / (1.0 + (-x).exp())));
            let mut bounded = x.clone();
            tanh(&team, &mut bounded);
            check(&bounded, pairs().map(|(x, _)| x.tanh()));
            let mut powers = x.clone();
            exp_of_times(&team, &mut powers, -0.5);
            check(&powers, pairs().map(|(x, _)| (-0.5 * x).exp()));
            let mut capped = x.clone();
            softcap(&team, &mut capped, 1.5);
            check(&capped, pairs().map(|(x, _)| 1.5 * (x / 1.5).tanh()));
            let mut clamped = x.clone();
            clamp(&team, &mut clamped, 0.5);
            check(&clamped, pairs().map(|(x, _)| x.clamp(-0.5, 0.5)));
        }
    }

    #[test]
    fn rows_are_added_up() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        for (n, d, used) in [(1, 5, 1), (3, 32, 2), (300, 100, 4)] {
            let (x, weights) = (noise(7 * d, 1), noise(n * used, 2));
            let rows = (0..n * used).map(|i| (i * 5 % 7) as u32);
            let picks: Vec<(u32, f32)> = rows.zip(weights).collect();
            let mut out = vec![f32::NAN; n * d];
            weighted_sums(&team, &x, &picks, d, &mut out);
            let term =
                |&(row, w): &(u32, f32), j| f64::from(w) * f64::from(x[row as usize * d + j]);
            let picks = picks.chunks(used);
            let expected =
                picks.flat_map(|p| (0..d).map(move |j| p.iter().map(|p| term(p, j)).sum::<f64>()));
            check(&out, expected);
            let mut biased = out.clone();
            add_bias(&team, &mut biased, &x[..d]);
            assert!(biased.iter().zip(&out).enumerate().all(|(i, (b, o))| *b == o + x[i % d]));
        }
    }
}
