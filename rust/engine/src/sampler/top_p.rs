//! `top_p`, nucleus sampling: the smallest set of most likely tokens whose probabilities add up to
//! at least p (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration").

use super::Sampling;
use super::candidates::{Candidates, MANY};
use super::chain::{Effect, Place, Stage};
use super::cut::Order;

struct TopP {
    p: f64,
    min_keep: usize,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    (sampling.top_p < 1.0)
        .then(|| Box::new(TopP { p: f64::from(sampling.top_p), min_keep: sampling.min_keep }) as _)
}

impl Stage for TopP {
    fn apply(&mut self, candidates: &mut Candidates, _place: &mut Place) {
        let Some(softmax) = candidates.softmax() else {
            return;
        };
        // Tokens below this have less than (1 - p) / 2 together, so they are never among the kept: most
        // of a large vocabulary need not be looked at.
        let least = softmax.negligible((1.0 - self.p) / 2.0, candidates.len());
        if candidates.count_from(least) <= MANY {
            candidates.keep_from(least, self.min_keep);
        }
        let key = |logit: f32| -f64::from(logit);
        let scale = 1.0 / (softmax.max - least).max(f32::MIN_POSITIVE);
        let order = Order { key, place: |logit| (softmax.max - logit) * scale };
        let enough = |sum, kept| sum >= self.p * softmax.total && kept >= self.min_keep;
        candidates.keep_first(&softmax, &order, enough);
    }

    fn effect(&self) -> Effect {
        Effect::Narrows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;

    #[test]
    fn equals_the_definition() {
        naive::compare(
            |s, p| s.top_p = p,
            build,
            |sorted, sampling| {
                let p = naive::softmax(&sorted);
                let mut n = 0;
                while n < p.len() {
                    n += 1;
                    if p[..n].iter().sum::<f64>() >= f64::from(sampling.top_p) {
                        break;
                    }
                }
                sorted[..n.max(sampling.min_keep.min(sorted.len()))].to_vec()
            },
        );
    }

    #[test]
    fn the_token_that_crosses_p_stays() {
        // Probabilities 1/2, 1/4, 1/8, 1/8.
        let logits = [4.0f32, 2.0, 1.0, 1.0].map(f32::ln);
        let kept = |top_p| {
            let sampling = Sampling { top_p, ..Sampling::default() };
            naive::ids(&logits, build(&sampling))
        };
        assert_eq!(kept(0.0), [0]);
        assert_eq!(kept(0.49), [0]);
        assert_eq!(kept(0.51), [0, 1]);
        assert_eq!(kept(0.76), [0, 1, 2]);
        assert_eq!(kept(1.0), [0, 1, 2, 3]);
    }
}
