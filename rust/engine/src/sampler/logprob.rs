//! Log-probabilities to report.

use super::candidates::{max, select_best};
use crate::request::Logprob;

/// Those of a token and of the `n` most likely ones, from the logits as the model gave them: the
/// logit minus the logarithm of the sum of all exponentials.
pub(crate) fn logprob(logits: &[f32], id: u32, n: usize) -> Logprob {
    let max = max(logits);
    let sum: f64 = logits.iter().map(|&x| f64::from((x - max).exp())).sum();
    let normalizer = f64::from(max) + sum.ln();
    let log_softmax = |logit: f32| (f64::from(logit) - normalizer) as f32;
    let mut best = Vec::new();
    select_best(logits, n, &mut best);
    Logprob {
        logprob: log_softmax(logits[id as usize]),
        top: best.iter().map(|c| (c.id, log_softmax(c.logit))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
