//! `xtc`, exclude top choices: with a probability of `xtc_probability` all tokens that have at least
//! the probability `xtc_threshold` are removed, but for the least likely of them
//! (oobabooga/text-generation-webui pull request 6335).

use super::Sampling;
use super::candidates::{Candidates, by_rank};
use super::chain::{Place, Stage};

struct Xtc {
    probability: f64,
    threshold: f64,
    min_keep: usize,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    // Above one half there is at most one such token.
    let is_on = sampling.xtc_probability > 0.0 && sampling.xtc_threshold <= 0.5;
    is_on.then(|| {
        Box::new(Xtc {
            probability: f64::from(sampling.xtc_probability),
            threshold: f64::from(sampling.xtc_threshold),
            min_keep: sampling.min_keep,
        }) as _
    })
}

impl Stage for Xtc {
    fn apply(&mut self, candidates: &mut Candidates, place: &mut Place) {
        if place.rng.uniform() >= self.probability {
            return;
        }
        let Some(softmax) = candidates.softmax() else {
            return;
        };
        let list = candidates.list();
        let likely = list.iter().filter(|c| softmax.probability(c.logit) >= self.threshold);
        let n = likely.clone().count();
        let Some(&least) = likely.max_by(|a, b| by_rank(a, b)) else {
            return;
        };
        if list.len() + 1 - n >= self.min_keep {
            list.retain(|c| by_rank(c, &least).is_ge());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;
    use crate::sampler::rng::Rng;

    #[test]
    fn equals_the_definition() {
        naive::compare(
            |s, p| (s.xtc_probability, s.xtc_threshold) = (1.0, p / 10.0),
            build,
            |sorted, sampling| {
                let p = naive::softmax(&sorted);
                let n = p.iter().filter(|&&p| p >= f64::from(sampling.xtc_threshold)).count();
                let removed = n.saturating_sub(1);
                let enough = sorted.len() - removed >= sampling.min_keep;
                sorted[if enough { removed } else { 0 }..].to_vec()
            },
        );
    }

    #[test]
    fn the_least_likely_of_the_likely_stays() {
        // Probabilities 1/2, 1/4, 1/8, 1/8.
        let logits = [4.0f32, 2.0, 1.0, 1.0].map(f32::ln);
        let left = |xtc_threshold, min_keep| {
            let sampling =
                Sampling { xtc_probability: 1.0, xtc_threshold, min_keep, ..Sampling::default() };
            naive::ids(&logits, build(&sampling))
        };
        assert_eq!(left(0.51, 0), [0, 1, 2, 3]);
        assert_eq!(left(0.3, 0), [0, 1, 2, 3]);
        assert_eq!(left(0.2, 0), [1, 2, 3]);
        assert_eq!(left(0.2, 4), [0, 1, 2, 3]);
        // Of equal ones the higher id is the less likely.
        assert_eq!(left(0.1, 0), [3]);
        assert_eq!(left(0.0, 0), [3]);
        assert_eq!(left(0.1, 2), [0, 1, 2, 3]);
    }

    #[test]
    fn happens_as_often_as_asked_for() {
        let sampling = Sampling { xtc_probability: 0.3, ..Sampling::default() };
        let mut stage = build(&sampling).expect("it is on");
        let mut rng = Rng::new(4);
        let mut removed = 0;
        for _ in 0..10_000 {
            let (mut logits, mut list) = ([1.0, 1.0], Vec::new());
            let mut candidates = Candidates::new(&mut logits, &mut list);
            stage.apply(&mut candidates, &mut Place::for_test(&[], rng.fork()));
            removed += 2 - candidates.list().len();
            rng.step();
        }
        assert!((2800..3200).contains(&removed), "{removed}");
    }
}
