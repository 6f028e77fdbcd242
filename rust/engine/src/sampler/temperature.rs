//! `temperature`: divides the logits by t, which raises the probabilities to the power 1/t (Ackley,
//! Hinton and Sejnowski 1985). 1 changes nothing; 0 and below are the limit, the most likely token.
//!
//! With a `dynatemp_range` t goes from `temperature - range`, at least 0, to `temperature + range`, as
//! the part that the entropy is of the greatest one possible, to the power `dynatemp_exponent`.

use super::Sampling;
use super::candidates::Candidates;
use super::chain::{Effect, Place, Stage};
use super::softmax::max;

struct Constant {
    t: f32,
}

struct Dynamic {
    from: f32,
    to: f32,
    exponent: f32,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let (t, range) = (sampling.temperature, sampling.dynatemp_range);
    if range <= 0.0 {
        return build_constant(sampling);
    }
    let from = (t - range).max(0.0);
    Some(Box::new(Dynamic { from, to: t + range, exponent: sampling.dynatemp_exponent }))
}

/// Without regard to the range.
pub(crate) fn build_constant(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let t = sampling.temperature;
    (t != 1.0).then(|| Box::new(Constant { t }) as _)
}

impl Stage for Constant {
    fn apply(&mut self, candidates: &mut Candidates, _place: &mut Place) {
        divide(candidates, self.t);
    }

    fn effect(&self) -> Effect {
        if self.t <= 0.0 { Effect::TakesBest } else { Effect::Any }
    }
}

impl Stage for Dynamic {
    fn apply(&mut self, candidates: &mut Candidates, _place: &mut Place) {
        let n = candidates.list().len();
        let Some(softmax) = candidates.softmax().filter(|_| n > 1) else {
            return;
        };
        let part = (softmax.entropy() / (n as f64).ln()) as f32;
        let t = self.from + (self.to - self.from) * part.clamp(0.0, 1.0).powf(self.exponent);
        divide(candidates, t);
    }
}

fn divide(candidates: &mut Candidates, t: f32) {
    if t <= 0.0 {
        return candidates.keep_best(1);
    }
    let greatest = max(candidates);
    if greatest == f32::NEG_INFINITY {
        return;
    }
    match (greatest / t).is_finite() {
        // As they are: a penalty that comes later goes by their signs.
        true => candidates.map(|logit| logit / t),
        // Relative to the best, so that a tiny t gives no infinity.
        false => candidates.map(|logit| (logit - greatest) / t),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;

    fn probabilities(sampling: Sampling) -> Vec<f64> {
        // Probabilities 9/13, 3/13, 1/13.
        let logits = [9.0f32, 3.0, 1.0].map(f32::ln);
        naive::softmax(&naive::apply(&logits, build(&sampling)))
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    #[test]
    fn is_a_power_of_the_probabilities() {
        let at = |temperature| probabilities(Sampling { temperature, ..Sampling::default() });
        assert!(close(&at(1.0), &[9.0, 3.0, 1.0].map(|x| x / 13.0)));
        assert!(close(&at(0.5), &[81.0, 9.0, 1.0].map(|x| x / 91.0)));
        assert!(close(&at(1e-40), &[1.0]));
        assert!(close(&at(0.0), &[1.0]));
        assert!(close(&at(-3.0), &[1.0]));
    }

    #[test]
    fn signs_stay() {
        let sampling = Sampling { temperature: 0.5, ..Sampling::default() };
        let left = naive::apply(&[2.0, f32::NEG_INFINITY, -1.0], build(&sampling));
        assert_eq!(left.iter().map(|c| c.logit).collect::<Vec<_>>(), [4.0, -2.0]);
        assert!(naive::apply(&[f32::NEG_INFINITY; 3], build(&sampling)).is_empty());
    }

    #[test]
    fn a_range_goes_by_the_entropy() {
        let p = [9.0, 3.0, 1.0].map(|x: f64| x / 13.0);
        let part = -p.iter().map(|p| p * p.ln()).sum::<f64>() / 3f64.ln();
        for (temperature, range, exponent) in
            [(0.8f64, 0.3f64, 1.0f64), (0.2, 0.5, 2.0), (0.0, 0.7, 0.5), (-1.0, 2.0, 0.0)]
        {
            let sampling = Sampling {
                temperature: temperature as f32,
                dynatemp_range: range as f32,
                dynatemp_exponent: exponent as f32,
                ..Sampling::default()
            };
            let from = (temperature - range).max(0.0);
            let t = from + (temperature + range - from) * part.powf(exponent);
            let powers = p.map(|p| p.powf(1.0 / t));
            let total: f64 = powers.iter().sum();
            assert!(close(&probabilities(sampling), &powers.map(|x| x / total)), "{temperature}");
        }
    }

    #[test]
    fn a_range_is_safe_at_its_ends() {
        let sampling = Sampling { temperature: 0.5, dynatemp_range: 0.5, ..Sampling::default() };
        let left = |logits: &[f32]| naive::apply(logits, build(&sampling));
        // No entropy, so the temperature is 0; and all there can be, so it is 1.
        assert_eq!(naive::sorted_ids(&left(&[0.0, 1000.0, 0.0])), [1]);
        assert!(close(&naive::softmax(&left(&[2.0; 4])), &[0.25; 4]));
        assert_eq!(naive::ids(&[5.0], build(&sampling)), [0]);
        assert_eq!(left(&[f32::NEG_INFINITY]), []);
    }
}
