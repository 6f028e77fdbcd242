//! Rotary position embedding (Su et al. 2021, arXiv:2104.09864): pairs of a head's values are turned by
//! an angle that grows with the position.

use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Which values of a head make a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pairs {
    /// `2i` and `2i + 1`.
    #[default]
    Neighbours,
    /// `i` and `i + d / 2`, `d` being the number of rotated values.
    Halves,
}

/// The angles' cosines and sines at some positions, `[n][pairs]` each.
#[derive(Default)]
pub struct Rotations {
    cos: Vec<f32>,
    sin: Vec<f32>,
    kind: Pairs,
    pairs: usize,
}

impl Rotations {
    /// Angles `position * frequencies[i]`, cosines and sines being multiplied by `magnitude`.
    pub fn set(&mut self, kind: Pairs, positions: &[usize], frequencies: &[f32], magnitude: f32) {
        self.cos.clear();
        self.sin.clear();
        (self.kind, self.pairs) = (kind, frequencies.len());
        for &position in positions {
            for &frequency in frequencies {
                let (sin, cos) = (position as f64 * f64::from(frequency)).sin_cos();
                self.cos.push(cos as f32 * magnitude);
                self.sin.push(sin as f32 * magnitude);
            }
        }
    }

    /// Turns every head of every row of `x`, `[n][heads][head_dim]`; values beyond the pairs stay.
    ///
    /// # Panics
    /// `x` has another number of rows than there are positions, or a head is shorter than the pairs.
    pub fn apply(&self, team: &Team, head_dim: usize, x: &mut [f32]) {
        let _part = team.part(Part::Rope);
        if self.pairs == 0 {
            return;
        }
        let n = self.cos.len() / self.pairs;
        assert!(2 * self.pairs <= head_dim, "{} pairs in heads of {head_dim}", self.pairs);
        assert!(n > 0 && x.len().is_multiple_of(n * head_dim), "{} in {n} rows", x.len());
        let width = x.len() / n;
        let x = RawMut::new(x);
        team.for_each(n, (1 << 13) / width + 1, &|rows| {
            for row in rows {
                // SAFETY: each row is changed by one caller.
                let x = unsafe { x.slice(row * width, width) };
                let at = row * self.pairs..(row + 1) * self.pairs;
                let (cos, sin) = (&self.cos[at.clone()], &self.sin[at]);
                dispatch(Turn { x, cos, sin, head_dim, pairs: self.kind });
            }
        });
    }
}

struct Turn<'a> {
    x: &'a mut [f32],
    cos: &'a [f32],
    sin: &'a [f32],
    head_dim: usize,
    pairs: Pairs,
}

impl Kernel for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let n = self.cos.len();
        for head in self.x.chunks_exact_mut(self.head_dim) {
            match self.pairs {
                Pairs::Halves => {
                    let (first, second) = head[..2 * n].split_at_mut(n);
                    halves(isa, first, second, self.cos, self.sin);
                }
                Pairs::Neighbours => neighbours(isa, &mut head[..2 * n], self.cos, self.sin),
            }
        }
    }
}

#[inline(always)]
fn turn<A: Isa>(isa: A, a: F, b: F, cos: F, sin: F) -> (F, F) {
    (isa.fma(a, cos, -(b * sin)), isa.fma(a, sin, b * cos))
}

#[inline(always)]
fn halves<A: Isa>(isa: A, first: &mut [f32], second: &mut [f32], cos: &[f32], sin: &[f32]) {
    for i in (0..cos.len()).step_by(LANES) {
        let end = (i + LANES).min(cos.len());
        let [a, b, c, s] =
            [&first[i..end], &second[i..end], &cos[i..end], &sin[i..end]].map(F::load_or_default);
        let (a, b) = turn(isa, a, b, c, s);
        first[i..end].copy_from_slice(&a.as_array()[..end - i]);
        second[i..end].copy_from_slice(&b.as_array()[..end - i]);
    }
}

#[inline(always)]
fn neighbours<A: Isa>(isa: A, x: &mut [f32], cos: &[f32], sin: &[f32]) {
    for i in (0..cos.len()).step_by(LANES) {
        let end = (i + LANES).min(cos.len());
        let x = &mut x[2 * i..2 * end];
        let middle = x.len().min(LANES);
        let (low, high) = (F::load_or_default(&x[..middle]), F::load_or_default(&x[middle..]));
        let (a, b) = low.deinterleave(high);
        let (c, s) = (F::load_or_default(&cos[i..end]), F::load_or_default(&sin[i..end]));
        let (a, b) = turn(isa, a, b, c, s);
        let (low, high) = a.interleave(b);
        x[..middle].copy_from_slice(&low.as_array()[..middle]);
        let rest = x.len() - middle;
        x[middle..].copy_from_slice(&high.as_array()[..rest]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn agrees_with_complex_multiplication() {
        let team = Team::new(2).unwrap();
        let positions = [0, 1, 7, 4000];
        for (head_dim, n_pairs) in [(8, 4), (64, 32), (96, 20), (2, 1), (80, 40)] {
            let frequencies: Vec<f32> =
                (0..n_pairs).map(|i| 10_000f32.powf(-(i as f32) / n_pairs as f32)).collect();
            let mut rotations = Rotations::default();
            for pairs in [Pairs::Neighbours, Pairs::Halves] {
                rotations.set(pairs, &positions, &frequencies, 1.0);
                let heads = 3;
                let x = noise(positions.len() * heads * head_dim, 5);
                let mut got = x.clone();
                rotations.apply(&team, head_dim, &mut got);
                for (row, &position) in positions.iter().enumerate() {
                    for head in 0..heads {
                        let at = (row * heads + head) * head_dim;
                        for i in 0..n_pairs {
                            let (a, b) = match pairs {
                                Pairs::Neighbours => (at + 2 * i, at + 2 * i + 1),
                                Pairs::Halves => (at + i, at + i + n_pairs),
                            };
                            let angle = position as f64 * f64::from(frequencies[i]);
                            let (x0, x1) = (f64::from(x[a]), f64::from(x[b]));
                            let expected = [
                                x0 * angle.cos() - x1 * angle.sin(),
                                x0 * angle.sin() + x1 * angle.cos(),
                            ];
                            assert!((f64::from(got[a]) - expected[0]).abs() < 1e-5);
                            assert!((f64::from(got[b]) - expected[1]).abs() < 1e-5);
                        }
                        assert_eq!(
                            got[at + 2 * n_pairs..][..head_dim - 2 * n_pairs],
                            x[at + 2 * n_pairs..][..head_dim - 2 * n_pairs]
                        );
                    }
                }
            }
        }
    }
}
