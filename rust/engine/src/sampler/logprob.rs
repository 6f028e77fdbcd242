//! Log-probabilities to report.

use super::candidates::{max, select_best};
use crate::request::Logprob;

/// Those of a token and of the `n` most likely ones, from the logits as the model gave them: the
/// logit minus the logarithm of the sum of all exponentials.
pub(crate) fn logprob(logits: &[f32], id: u32, n: usize) -> Logprob {
    let max = max(logits);
    let sum = sum_of_exps(logits, max);
    let normalizer = f64::from(max) + sum.ln();
    let log_softmax = |logit: f32| (f64::from(logit) - normalizer) as f32;
    let mut best = Vec::new();
    select_best(logits, n, &mut best);
    Logprob {
        logprob: log_softmax(logits[id as usize]),
        top: best.iter().map(|c| (c.id, log_softmax(c.logit))).collect(),
    }
}

/// The sum of `e^(x - max)`, `max` being the greatest `x`: sixteen at a time and without branches, so
/// that the loop is vectorized.
fn sum_of_exps(logits: &[f32], max: f32) -> f64 {
    let (chunks, rest) = logits.as_chunks::<16>();
    let mut sums = [0f64; 16];
    for chunk in chunks {
        let exps = chunk.map(|x| exp(x - max));
        sums.iter_mut().zip(exps).for_each(|(sum, exp)| *sum += f64::from(exp));
    }
    rest.iter().map(|x| f64::from(exp(x - max))).chain(sums).sum()
}

/// `e^x` for `x <= 0` to within 3e-7 of itself; at least `e^-87`, which is nothing beside 1.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, `e^r` by its Taylor polynomial.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to an integer, left in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    // ln 2 in two parts, the first of which is exact with n.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    let power = shifted.to_bits().wrapping_sub(MAGIC.to_bits()) << 23;
    f32::from_bits(p.to_bits().wrapping_add(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exps_are_near() {
        for i in 0..9000 {
            let x = i as f32 * -0.01;
            let (got, expected) = (f64::from(exp(x)), f64::from(x).exp().max(1e-38));
            assert!((got / expected - 1.0).abs() < 4e-7 || x < -86.9, "{x}: {got} for {expected}");
            assert!(got < 1e-37 || x > -87.0);
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        let logits: Vec<f32> = (0..1000).map(|i| (i * 37 % 100) as f32 * -0.1).collect();
        let expected: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        assert!((sum_of_exps(&logits, 0.0) / expected - 1.0).abs() < 1e-6);
    }

    #[test]
    fn is_the_log_softmax() {
        // Probabilities 1/8, 1/2, 1/4, 0, 1/8.
        let logits = [1.0f32, 4.0, 2.0, 0.0, 1.0].map(|x| x.ln() + 700.0);
        let reported = logprob(&logits, 2, 3);
        let close = |a: f32, b: f32| (a - b.ln()).abs() < 1e-4;
        assert!(close(reported.logprob, 0.25));
        assert_eq!(reported.top.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 2, 0]);
        assert!(close(reported.top[0].1, 0.5) && close(reported.top[2].1, 0.125));
        assert_eq!(logprob(&logits, 3, 0).logprob, f32::NEG_INFINITY);
    }
}
