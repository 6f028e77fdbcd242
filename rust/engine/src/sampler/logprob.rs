//! Log-probabilities to report.

use super::candidates::Candidates;
use crate::request::Logprob;

/// Those of a token and of the `n` most likely ones among some candidates: the logit minus the
/// logarithm of the sum of all exponentials. Minus infinity for a token that is no candidate.
pub(crate) fn logprob(candidates: &Candidates, id: u32, n: usize) -> Logprob {
    let softmax = candidates.softmax();
    let log_softmax =
        |logit| softmax.map_or(f32::NEG_INFINITY, |s| s.log_probability(logit) as f32);
    Logprob {
        logprob: candidates.logit(id).map_or(f32::NEG_INFINITY, log_softmax),
        top: candidates.best(n).iter().map(|c| (c.id, log_softmax(c.logit))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_log_softmax() {
        // Probabilities 1/8, 1/2, 1/4, 0, 1/8.
        let mut logits = [1.0f32, 4.0, 2.0, 0.0, 1.0].map(|x| x.ln() + 700.0);
        let mut list = Vec::new();
        let mut candidates = Candidates::new(&mut logits, &mut list);
        let close = |a: f32, b: f32| (a - b.ln()).abs() < 1e-4;
        for _ in 0..2 {
            let reported = logprob(&candidates, 2, 3);
            assert!(close(reported.logprob, 0.25));
            assert_eq!(reported.top.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 2, 0]);
            assert!(close(reported.top[0].1, 0.5) && close(reported.top[2].1, 0.125));
            assert_eq!(logprob(&candidates, 3, 0).logprob, f32::NEG_INFINITY);
            assert_eq!(logprob(&candidates, 2, 9).top.len(), 4);
            candidates.list();
        }
        candidates.keep_best(2);
        assert!(close(logprob(&candidates, 1, 0).logprob, 2.0 / 3.0));
        assert_eq!(logprob(&candidates, 0, 0).logprob, f32::NEG_INFINITY);
    }
}
