//! `top_n_sigma`: the tokens whose logits are at most n standard deviations below the best one (Tang
//! et al. 2024, arXiv:2411.07641).

use super::Sampling;
use super::candidates::Candidates;
use super::chain::{Effect, Place, Stage};
use super::softmax::{Sixteens, max};

struct TopNSigma {
    n: f32,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    (sampling.top_n_sigma > 0.0).then(|| Box::new(TopNSigma { n: sampling.top_n_sigma }) as _)
}

impl Stage for TopNSigma {
    fn apply(&mut self, candidates: &mut Candidates, _place: &mut Place) {
        let max = max(candidates);
        let threshold = max - self.n * standard_deviation(candidates, max);
        candidates.keep_from(threshold, 0);
    }

    fn effect(&self) -> Effect {
        Effect::Narrows
    }
}

/// That of the logits above minus infinity; `max` is the greatest of them.
fn standard_deviation(candidates: &Candidates, max: f32) -> f32 {
    let (mut counts, mut sums, mut squares) = ([0f64; 16], [0f64; 16], [0f64; 16]);
    candidates.each16(|logits| {
        for (i, &logit) in logits.iter().enumerate() {
            let listed = logit > f32::NEG_INFINITY;
            // Relative to the best, so that the squares' sum keeps its precision.
            let below = if listed { f64::from(max - logit) } else { 0.0 };
            counts[i] += f64::from(u8::from(listed));
            sums[i] += below;
            squares[i] += below * below;
        }
    });
    let sum = |lanes: [f64; 16]| lanes.iter().sum::<f64>();
    let (n, mean) = (sum(counts), sum(sums) / sum(counts));
    (sum(squares) / n - mean * mean).max(0.0).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;

    #[test]
    fn equals_the_definition() {
        naive::compare(
            |s, p| s.top_n_sigma = 3.0 * p,
            build,
            |sorted, sampling| {
                let n = sorted.len() as f64;
                let logit = |i: usize| f64::from(sorted[i].logit);
                let mean = (0..sorted.len()).map(logit).sum::<f64>() / n;
                let squares = (0..sorted.len()).map(|i| (logit(i) - mean).powi(2));
                let threshold =
                    logit(0) - f64::from(sampling.top_n_sigma) * (squares.sum::<f64>() / n).sqrt();
                let kept = (0..sorted.len()).filter(|&i| logit(i) >= threshold);
                kept.map(|i| sorted[i]).collect()
            },
        );
    }

    #[test]
    fn forbidden_tokens_do_not_count() {
        let sampling = Sampling { top_n_sigma: 1.2, ..Sampling::default() };
        let inf = f32::NEG_INFINITY;
        // The standard deviation without them is the root of 0.8, so from 1.93 on.
        assert_eq!(naive::ids(&[3.0, inf, 1.0, 3.0, inf, 1.0, 2.0], build(&sampling)), [0, 3, 6]);
        assert_eq!(naive::ids(&[4.0; 3], build(&sampling)), [0, 1, 2]);
        assert!(naive::ids(&[inf; 3], build(&sampling)).is_empty());
    }
}
