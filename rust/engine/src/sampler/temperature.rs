//! `temperature`: divides the logits by t, which raises the probabilities to the power 1/t (Ackley,
//! Hinton and Sejnowski 1985). 1 changes nothing; 0 and below are the limit, the most likely token.

use super::Sampling;
use super::candidates::Candidates;
use super::chain::Stage;

struct Temperature {
    t: f32,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let t = sampling.temperature;
    (!sampling.is_greedy() && t != 1.0).then(|| Box::new(Temperature { t }) as _)
}

impl Stage for Temperature {
    fn apply(&mut self, candidates: &mut Candidates, _history: &[u32]) {
        let list = candidates.list();
        let max = list.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
        for candidate in list {
            // Relative to the best, so that a tiny t gives no infinity.
            candidate.logit = (candidate.logit - max) / self.t;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;

    fn probabilities(temperature: f32) -> Vec<f64> {
        let sampling = Sampling { temperature, ..Sampling::default() };
        // Probabilities 9/13, 3/13, 1/13.
        let logits = [9.0f32, 3.0, 1.0].map(f32::ln);
        naive::softmax(&naive::apply(&logits, build(&sampling)))
    }

    #[test]
    fn is_a_power_of_the_probabilities() {
        let close = |a: Vec<f64>, b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(probabilities(1.0), [9.0, 3.0, 1.0].map(|x| x / 13.0)));
        assert!(close(probabilities(0.5), [81.0, 9.0, 1.0].map(|x| x / 91.0)));
        assert!(close(probabilities(1e-40), [1.0, 0.0, 0.0]));
    }
}
