//! Elementwise operations and norms on rows of floats.

use std::ops::Range;

use crate::float::add_lanes;
use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::math::silu;
use crate::raw::RawMut;
use crate::team::Team;

/// Elements below which another thread does not pay.
const GRAIN: usize = 1 << 14;

/// `x += y`.
pub fn add(team: &Team, x: &mut [f32], y: &[f32]) {
    elementwise(team, x, y, AddOp);
}

/// `gate = silu(gate) * up`.
pub fn silu_mul(team: &Team, gate: &mut [f32], up: &[f32]) {
    elementwise(team, gate, up, SiluMul);
}

/// Adds `bias` to every row of `x`, `[n][bias]`.
///
/// # Panics
/// `x` has no whole rows.
pub fn add_bias(team: &Team, x: &mut [f32], bias: &[f32]) {
    let d = bias.len();
    team.for_rows(x, d, GRAIN.div_ceil(d.max(1)), &|_, rows| {
        for x in rows.chunks_exact_mut(d) {
            dispatch(Elementwise { x, y: bias, op: AddOp });
        }
    });
}

/// Weighted sums of rows: `out[i] = sum over j of weight * x[row]`, with `(row, weight) = picks[i][j]`
/// and `picks` being `[n][used]`, `x` `[rows][d]` and `out` `[n][d]`. How experts' outputs meet.
///
/// # Panics
/// Sizes that do not agree, or a row that is not there.
pub fn weighted_sums(team: &Team, x: &[f32], picks: &[(u32, f32)], d: usize, out: &mut [f32]) {
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

/// Root-mean-square norm of each row: `out = x / sqrt(mean(x^2) + eps) * weight`, rows being as long
/// as `weight`.
pub fn rms_norm(team: &Team, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let d = weight.len();
    assert!(x.len() == out.len() && x.len().is_multiple_of(d), "rows of {d} in {}", x.len());
    let out = RawMut::new(out);
    team.for_each(x.len() / d, GRAIN.div_ceil(d), &|rows| {
        // SAFETY: each row is written by one caller.
        let out = unsafe { out.slice(rows.start * d, rows.len() * d) };
        dispatch(RmsNorm { x: &x[rows.start * d..rows.end * d], weight, eps, out });
    });
}

struct RmsNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let d = self.weight.len();
        for (x, out) in self.x.chunks_exact(d).zip(self.out.chunks_exact_mut(d)) {
            let mut sums = F::splat(0.0);
            for x in x.chunks_exact(LANES) {
                let x = F::from_slice(x);
                sums = isa.fma(x, x, sums);
            }
            let rest = &x[d / LANES * LANES..];
            let sum = add_lanes(sums) + rest.iter().map(|x| x * x).sum::<f32>();
            let factor = 1.0 / (sum / d as f32 + self.eps).sqrt();
            for ((out, x), weight) in out.iter_mut().zip(x).zip(self.weight) {
                *out = x * factor * weight;
            }
        }
    }
}

/// What is done to pairs of elements.
trait Op: Copy + Sync {
    /// The new value of the first; must be `#[inline(always)]`.
    fn vector<A: Isa>(self, isa: A, x: F, y: F) -> F;
}

#[derive(Clone, Copy)]
struct AddOp;
impl Op for AddOp {
    #[inline(always)]
    fn vector<A: Isa>(self, _: A, x: F, y: F) -> F {
        x + y
    }
}

#[derive(Clone, Copy)]
struct SiluMul;
impl Op for SiluMul {
    #[inline(always)]
    fn vector<A: Isa>(self, isa: A, x: F, y: F) -> F {
        silu(isa, x) * y
    }
}

fn elementwise<O: Op>(team: &Team, x: &mut [f32], y: &[f32], op: O) {
    assert_eq!(x.len(), y.len());
    let n = x.len();
    let x = RawMut::new(x);
    team.for_each(n.div_ceil(LANES), GRAIN / LANES, &|vectors: Range<usize>| {
        let (start, end) = (vectors.start * LANES, (vectors.end * LANES).min(n));
        // SAFETY: each element is written by one caller.
        let x = unsafe { x.slice(start, end - start) };
        dispatch(Elementwise { x, y: &y[start..end], op });
    });
}

struct Elementwise<'a, O> {
    x: &'a mut [f32],
    y: &'a [f32],
    op: O,
}

impl<O: Op> Kernel for Elementwise<'_, O> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let mut xs = self.x.chunks_exact_mut(LANES);
        let mut ys = self.y.chunks_exact(LANES);
        for (x, y) in xs.by_ref().zip(ys.by_ref()) {
            self.op.vector(isa, F::from_slice(x), F::from_slice(y)).copy_to_slice(x);
        }
        let (x, y) = (xs.into_remainder(), ys.remainder());
        let result = self.op.vector(isa, F::load_or_default(x), F::load_or_default(y));
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
            let mut gated = x.clone();
            silu_mul(&team, &mut gated, &y);
            check(&gated, pairs().map(|(x, y)| x / (1.0 + (-x).exp()) * y));
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

    #[test]
    fn norms_agree_with_double_precision() {
        let team = Team::new(2).unwrap();
        for (rows, d) in [(1, 8), (3, 64), (2, 100), (40, 2048)] {
            let (x, weight) = (noise(rows * d, 1), noise(d, 2));
            let mut out = vec![0.0; rows * d];
            rms_norm(&team, &x, &weight, 1e-5, &mut out);
            for (x, out) in x.chunks(d).zip(out.chunks(d)) {
                let mean = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / d as f64;
                let factor = 1.0 / (mean + 1e-5).sqrt();
                let expected =
                    x.iter().zip(&weight).map(|(&x, &w)| f64::from(x) * factor * f64::from(w));
                check(out, expected);
            }
        }
    }
}
