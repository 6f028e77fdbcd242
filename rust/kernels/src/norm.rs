//! Normalization of rows of floats: root mean square, and mean and variance.

use crate::float::add_lanes;
use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Elements below which another thread does not pay.
const GRAIN: usize = 1 << 14;

/// What a row is divided by, and what is subtracted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + eps)` (Zhang and Sennrich 2019, arXiv:1910.07467).
    Rms,
    /// `(x - mean(x)) / sqrt(variance(x) + eps)` (Ba et al. 2016, arXiv:1607.06450).
    Layer,
}

/// A norm with its weights.
#[derive(Clone, Debug)]
pub struct Norm {
    kind: NormKind,
    eps: f32,
    d: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    /// Normalizes rows of `d` values and multiplies by `weight`, `[groups][d]`, row `i` by group
    /// `i % groups`; then adds `bias`, which is empty or of the same size.
    ///
    /// # Panics
    /// Sizes that do not agree.
    pub fn new(kind: NormKind, eps: f32, d: usize, weight: Vec<f32>, bias: Vec<f32>) -> Norm {
        assert!(d > 0 && !weight.is_empty() && weight.len().is_multiple_of(d));
        assert!(bias.is_empty() || bias.len() == weight.len(), "{} biases", bias.len());
        Norm { kind, eps, d, weight, bias }
    }

    /// The length of a row.
    pub fn d(&self) -> usize {
        self.d
    }

    /// The rows of `x` normalized, to `out`.
    pub fn apply(&self, team: &Team, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len());
        self.run(team, Some(x), out);
    }

    /// The rows of `x` normalized where they stand.
    pub fn apply_in_place(&self, team: &Team, x: &mut [f32]) {
        self.run(team, None, x);
    }

    fn run(&self, team: &Team, x: Option<&[f32]>, out: &mut [f32]) {
        let _part = team.part(Part::Norm);
        let d = self.d;
        assert!(out.len().is_multiple_of(d), "rows of {d} in {}", out.len());
        let n = out.len() / d;
        let out = RawMut::new(out);
        team.for_each(n, GRAIN.div_ceil(d), &|rows| {
            // SAFETY: each row is written by one caller.
            let out = unsafe { out.slice(rows.start * d, rows.len() * d) };
            let x = x.map(|x| &x[rows.start * d..rows.end * d]);
            match self.kind {
                NormKind::Rms => {
                    dispatch(Rows::<false> { norm: self, first: rows.start, x, out });
                }
                NormKind::Layer => dispatch(Rows::<true> { norm: self, first: rows.start, x, out }),
            }
        });
    }
}

/// Some rows; `CENTRED` subtracts the mean.
struct Rows<'a, const CENTRED: bool> {
    norm: &'a Norm,
    first: usize,
    /// Where they come from, if not from `out`.
    x: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl<const CENTRED: bool> Kernel for Rows<'_, CENTRED> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Norm { eps, d, weight, bias, .. } = self.norm;
        let groups = weight.len() / d;
        for (i, out) in self.out.chunks_exact_mut(*d).enumerate() {
            let at = (self.first + i) % groups * d;
            let weight = &weight[at..at + d];
            match self.x {
                Some(x) => {
                    let x = &x[i * d..][..*d];
                    let (mean, factor) = statistics::<A, CENTRED>(isa, x, *eps);
                    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                        *out = if CENTRED { x - mean } else { *x } * factor * weight;
                    }
                }
                None => {
                    let (mean, factor) = statistics::<A, CENTRED>(isa, out, *eps);
                    for (x, weight) in out.iter_mut().zip(weight) {
                        *x = if CENTRED { *x - mean } else { *x } * factor * weight;
                    }
                }
            }
            if !bias.is_empty() {
                out.iter_mut().zip(&bias[at..at + d]).for_each(|(x, b)| *x += b);
            }
        }
    }
}

/// What is subtracted and what is multiplied by.
#[inline(always)]
fn statistics<A: Isa, const CENTRED: bool>(isa: A, x: &[f32], eps: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let rest = &x[x.len() / LANES * LANES..];
    let mut mean = 0.0;
    if CENTRED {
        let mut sums = F::splat(0.0);
        for x in x.chunks_exact(LANES) {
            sums += F::from_slice(x);
        }
        mean = (add_lanes(sums) + rest.iter().sum::<f32>()) / n;
    }
    let mut sums = F::splat(0.0);
    for x in x.chunks_exact(LANES) {
        let mut x = F::from_slice(x);
        if CENTRED {
            x -= F::splat(mean);
        }
        sums = isa.fma(x, x, sums);
    }
    let sum = add_lanes(sums) + rest.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>();
    (mean, 1.0 / (sum / n + eps).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    fn expected(norm: &Norm, row: usize, x: &[f32]) -> Vec<f64> {
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let n = x.len() as f64;
        let mean = match norm.kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => x.iter().sum::<f64>() / n,
        };
        let square = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let factor = 1.0 / (square + f64::from(norm.eps)).sqrt();
        let at = row % (norm.weight.len() / norm.d) * norm.d;
        let bias = |i: usize| norm.bias.get(at + i).map_or(0.0, |&b| f64::from(b));
        let value = |i: usize| (x[i] - mean) * factor * f64::from(norm.weight[at + i]) + bias(i);
        (0..x.len()).map(value).collect()
    }

    #[test]
    fn norms_agree_with_double_precision() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        for kind in [NormKind::Rms, NormKind::Layer] {
            for (rows, d, groups) in [(1, 8, 1), (6, 64, 3), (2, 100, 1), (40, 2048, 2)] {
                for bias in [vec![], noise(groups * d, 3)] {
                    let x = noise(rows * d, 1);
                    let norm = Norm::new(kind, 1e-5, d, noise(groups * d, 2), bias);
                    let mut out = vec![0.0; rows * d];
                    norm.apply(&team, &x, &mut out);
                    let mut same = x.clone();
                    norm.apply_in_place(&team, &mut same);
                    assert_eq!(out, same);
                    for (row, (x, out)) in x.chunks(d).zip(out.chunks(d)).enumerate() {
                        for (got, expected) in out.iter().zip(expected(&norm, row, x)) {
                            let error = (f64::from(*got) - expected).abs();
                            assert!(error <= 4e-6 * expected.abs().max(0.2), "{got} {expected}");
                        }
                    }
                }
            }
        }
    }
}
