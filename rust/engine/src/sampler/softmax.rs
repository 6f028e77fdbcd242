//! The softmax of logits, sixteen at a time and without branches, so that the loops are vectorized.

/// The softmax of some logits: the probability of one is `weight / total`.
#[derive(Clone, Copy)]
pub(crate) struct Softmax {
    pub max: f32,
    pub total: f64,
    /// The sum of `weight * (max - logit)`.
    spread: f64,
}

/// Logits sixteen at a time; the last ones are filled up with minus infinity.
pub(crate) trait Sixteens {
    /// Calls `visit` with all of them, in order.
    fn each16(&self, visit: impl FnMut(&[f32; 16]));
}

impl Sixteens for [f32] {
    #[inline(always)]
    fn each16(&self, mut visit: impl FnMut(&[f32; 16])) {
        let (chunks, rest) = self.as_chunks::<16>();
        chunks.iter().for_each(&mut visit);
        if !rest.is_empty() {
            let mut last = [f32::NEG_INFINITY; 16];
            last[..rest.len()].copy_from_slice(rest);
            visit(&last);
        }
    }
}

/// The greatest logit; minus infinity if there is none.
pub(crate) fn max(logits: &(impl Sixteens + ?Sized)) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    logits.each16(|chunk| {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    });
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

impl Softmax {
    /// None where no logit is above minus infinity.
    pub fn of(logits: &(impl Sixteens + ?Sized)) -> Option<Softmax> {
        let max = max(logits);
        if max == f32::NEG_INFINITY {
            return None;
        }
        let (mut totals, mut spreads) = ([0f64; 16], [0f64; 16]);
        logits.each16(|chunk| {
            for ((total, spread), &x) in totals.iter_mut().zip(&mut spreads).zip(chunk) {
                let below = at_least(x - max, LEAST);
                let weight = exp(below);
                *total += f64::from(weight);
                *spread -= f64::from(weight * below);
            }
        });
        Some(Softmax { max, total: totals.iter().sum(), spread: spreads.iter().sum() })
    }

    pub fn weight(&self, logit: f32) -> f64 {
        f64::from(exp(at_least(logit - self.max, LEAST)))
    }

    /// The weights of sixteen logits.
    #[inline(always)]
    pub fn weights16(&self, logits: &[f32; 16]) -> [f32; 16] {
        let mut weights = [0.0; 16];
        for (weight, &x) in weights.iter_mut().zip(logits) {
            *weight = exp(at_least(x - self.max, LEAST));
        }
        weights
    }

    /// The least logit with more than a part `p` of the total, shared by `n`.
    pub fn negligible(&self, p: f64, n: usize) -> f32 {
        self.max + (p * self.total / n as f64).ln() as f32
    }

    /// The sum of the weights of some logits.
    pub fn weights(&self, logits: &[f32]) -> f64 {
        let mut totals = [0f64; 16];
        logits.each16(|chunk| {
            for (total, &x) in totals.iter_mut().zip(chunk) {
                *total += f64::from(exp(at_least(x - self.max, LEAST)));
            }
        });
        totals.iter().sum()
    }

    pub fn probability(&self, logit: f32) -> f64 {
        self.weight(logit) / self.total
    }

    /// The natural logarithm of a logit's probability.
    pub fn log_probability(&self, logit: f32) -> f64 {
        f64::from(logit) - self.normalizer()
    }

    /// What is taken off the logits to make them logarithms of probabilities.
    pub fn normalizer(&self) -> f64 {
        f64::from(self.max) + self.total.ln()
    }

    /// The entropy in nats.
    pub fn entropy(&self) -> f64 {
        self.total.ln() + self.spread / self.total
    }
}

/// `e^LEAST` is 0 here.
const LEAST: f32 = -87.0;

#[inline(always)]
fn at_least(x: f32, least: f32) -> f32 {
    if x > least { x } else { least }
}

/// `e^x` for `LEAST <= x <= 0` to within 3e-7 of itself.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, `e^r` by its Taylor polynomial.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to an integer, left in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    // ln 2 in two parts, the first of which is exact with n.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    let power = shifted.to_bits().wrapping_sub(MAGIC.to_bits()) << 23;
    let exp = f32::from_bits(p.to_bits().wrapping_add(power));
    if x > LEAST { exp } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exps_are_near() {
        for i in 0..8700 {
            let x = i as f32 * -0.01;
            let (got, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got / expected - 1.0).abs() < 4e-7, "{x}: {got} for {expected}");
        }
        assert_eq!(exp(LEAST), 0.0);
    }

    #[test]
    fn sums_are_near() {
        for n in [1, 15, 16, 17, 1000] {
            let mut logits: Vec<f32> =
                (0..n).map(|i| (i * 37 % 100) as f32 * -0.1 + 900.0).collect();
            let all = f64::from(900f32);
            let total: f64 = logits.iter().map(|&x| (f64::from(x) - all).exp()).sum();
            let p = |x: f32| (f64::from(x) - all).exp() / total;
            let entropy: f64 = logits.iter().map(|&x| -p(x) * p(x).ln()).sum();
            logits.push(f32::NEG_INFINITY);
            let softmax = Softmax::of(&logits[..]).expect("some are finite");
            assert_eq!(softmax.max, 900.0);
            assert!((softmax.total / total - 1.0).abs() < 1e-6);
            assert!((softmax.entropy() - entropy).abs() < 1e-5, "{n}");
            assert!((softmax.log_probability(899.5) - p(899.5).ln()).abs() < 1e-5);
            assert!((softmax.probability(899.5) / p(899.5) - 1.0).abs() < 1e-5);
            assert_eq!(softmax.weight(f32::NEG_INFINITY), 0.0);
        }
        assert!(Softmax::of(&[f32::NEG_INFINITY; 3][..]).is_none());
        assert!(Softmax::of(&[0f32; 0][..]).is_none());
    }
}
