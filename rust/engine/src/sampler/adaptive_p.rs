//! `adaptive_p`: prefers tokens whose probability is near a target. It moves against the mean of what
//! the tokens chosen before had, so that the mean tends to `adaptive_target`; `adaptive_decay` is how
//! much less a token counts in the mean than the one after it. Formulas: llama.cpp pull request 17927.

use super::Sampling;
use super::candidates::Candidates;
use super::chain::{Place, Stage};

/// Logits fall from `PEAK` with the distance from the target, as a square within `WIDTH` and as a line
/// of this steepness far from it.
const PEAK: f64 = 5.0;
const WIDTH: f64 = 0.3;
const STEEPNESS: f64 = 10.0;

struct AdaptiveP {
    target: f64,
    decay: f64,
    /// The probabilities of the tokens chosen, weighted by the decay, and the weights' sum.
    sum: f64,
    weight: f64,
    /// The candidates for the next token with their probabilities.
    next: Vec<(u32, f64)>,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let (target, decay) = (f64::from(sampling.adaptive_target), f64::from(sampling.adaptive_decay));
    // As if tokens of just that probability had gone before.
    let weight = 1.0 / (1.0 - decay);
    (target >= 0.0).then(|| {
        Box::new(AdaptiveP { target, decay, sum: target * weight, weight, next: Vec::new() }) as _
    })
}

impl Stage for AdaptiveP {
    fn apply(&mut self, candidates: &mut Candidates, _place: &mut Place) {
        self.next.clear();
        let Some(softmax) = candidates.softmax() else {
            return;
        };
        let target = (2.0 * self.target - self.sum / self.weight).clamp(0.0, 1.0);
        for candidate in candidates.list() {
            let p = softmax.probability(candidate.logit);
            self.next.push((candidate.id, p));
            let distance = (p - target).abs() / WIDTH;
            candidate.logit = (PEAK - STEEPNESS * distance * distance / (1.0 + distance)) as f32;
        }
    }

    fn accept(&mut self, token: u32) {
        if let Some((_, p)) = self.next.iter().find(|(id, _)| *id == token) {
            self.sum = p + self.decay * self.sum;
            self.weight = 1.0 + self.decay * self.weight;
        }
        self.next.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;
    use crate::sampler::rng::Rng;

    fn adaptive(adaptive_target: f32) -> Option<Box<dyn Stage>> {
        build(&Sampling { adaptive_target, ..Sampling::default() })
    }

    #[test]
    fn the_nearest_to_the_target_is_best() {
        // Probabilities 1/2, 1/4, 1/8, 1/8.
        let logits = [4.0f32, 2.0, 1.0, 1.0].map(f32::ln);
        let left = naive::apply(&logits, adaptive(0.25));
        let expected = [0.25, 0.0, 0.125, 0.125].map(|d: f32| {
            let d = d / 0.3;
            5.0 - 10.0 * d * d / (1.0 + d)
        });
        assert!(left.iter().zip(expected).all(|(c, x)| (c.logit - x).abs() < 1e-5), "{left:?}");
        assert!(adaptive(-0.1).is_none());
    }

    #[test]
    fn what_was_chosen_moves_the_target() {
        let best = |stage: &mut Box<dyn Stage>| {
            let mut logits = [5.0f32, 4.0, 1.0].map(f32::ln);
            let mut list = Vec::new();
            let mut candidates = Candidates::new(&mut logits, &mut list);
            stage.apply(&mut candidates, &mut Place::for_test(&[], Rng::new(0)));
            candidates.best(1)[0].id
        };
        // Probabilities 0.5, 0.4, 0.1.
        let mut stage = adaptive(0.445).expect("it is on");
        assert_eq!(best(&mut stage), 1);
        stage.accept(2);
        let (mut mean, mut steps) = (0.9 * 0.445 + 0.1 * 0.1, 0);
        // A token that was no candidate, or not sampled, changes nothing.
        stage.accept(2);
        assert_eq!(best(&mut stage), 0);
        stage.accept(9);
        while best(&mut stage) == 0 {
            assert!(2.0 * 0.445 - mean > 0.45, "{mean}");
            stage.accept(0);
            mean = 0.9 * mean + 0.1 * 0.5;
            steps += 1;
        }
        assert!(2.0 * 0.445 - mean < 0.45 && steps == 4, "{mean} after {steps}");
    }

    #[test]
    fn the_mean_tends_to_the_target() {
        for target in [0.15, 0.3] {
            let mut rng = Rng::new(11);
            let mut stage = adaptive(target).expect("it is on");
            let (mut sum, n) = (0.0, 3000);
            for _ in 0..n {
                let mut logits: Vec<f32> = (0..8).map(|_| (rng.uniform() * 4.0) as f32).collect();
                let p = naive::softmax(&naive::by_id(&logits));
                let mut list = Vec::new();
                let mut candidates = Candidates::new(&mut logits, &mut list);
                stage.apply(&mut candidates, &mut Place::for_test(&[], rng.fork()));
                let chosen = candidates.draw(|| rng.uniform()).expect("a candidate");
                sum += p[chosen as usize];
                stage.accept(chosen);
            }
            let mean = sum / f64::from(n);
            assert!((mean - f64::from(target)).abs() < 0.03, "{mean} for {target}");
        }
    }
}
