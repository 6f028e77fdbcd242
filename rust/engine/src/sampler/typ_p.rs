//! `typical_p`, locally typical sampling (Meister et al. 2022, "Locally Typical Sampling"): tokens
//! whose surprise `-ln p` is nearest to the entropy of the distribution, the smallest such set
//! whose probabilities add up to more than `typical_p`.

use super::Sampling;
use super::candidates::Candidates;
use super::chain::{Place, Stage};
use super::cut::Order;

struct TypP {
    p: f64,
    min_keep: usize,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    (sampling.typical_p < 1.0).then(|| {
        Box::new(TypP { p: f64::from(sampling.typical_p), min_keep: sampling.min_keep }) as _
    })
}

impl Stage for TypP {
    fn apply(&mut self, candidates: &mut Candidates, _place: &mut Place) {
        let Some(softmax) = candidates.softmax() else {
            return;
        };
        // The logit with the surprise that equals the entropy.
        let typical = softmax.normalizer() - softmax.entropy();
        let strangeness = |logit: f32| (f64::from(logit) - typical).abs();
        // Tokens below this have less than (1 - p) / 2 together, so those between it and the best have enough.
        let least = softmax.negligible((1.0 - self.p) / 2.0, candidates.len());
        let strangest = strangeness(least).max(strangeness(softmax.max));
        let scale = 1.0 / strangest.max(f64::MIN_POSITIVE);
        let place = |logit| (strangeness(logit) * scale) as f32;
        let order = Order { key: strangeness, place };
        let enough = |sum, kept| sum > self.p * softmax.total && kept >= self.min_keep;
        candidates.keep_first(&softmax, &order, enough);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;

    #[test]
    fn equals_the_definition() {
        naive::compare(
            |s, p| s.typical_p = p,
            build,
            |sorted, sampling| {
                let p = naive::softmax(&sorted);
                let entropy: f64 = p.iter().map(|p| -p * p.ln()).sum();
                let mut order: Vec<usize> = (0..p.len()).collect();
                let strangeness = |i: usize| (-p[i].ln() - entropy).abs();
                order.sort_by(|&a, &b| strangeness(a).total_cmp(&strangeness(b)));
                let (mut sum, mut kept) = (0.0, Vec::new());
                for i in order {
                    sum += p[i];
                    kept.push(sorted[i]);
                    if sum > f64::from(sampling.typical_p) && kept.len() >= sampling.min_keep {
                        break;
                    }
                }
                kept
            },
        );
    }

    #[test]
    fn the_most_likely_token_may_be_too_little_surprising() {
        // Probabilities 0.4 and twelve times 0.05: the entropy is nearer to ln 20 than to ln 2.5.
        let mut logits = [0.05f32.ln(); 13];
        logits[0] = 0.4f32.ln();
        let sampling = Sampling { typical_p: 0.3, ..Sampling::default() };
        assert_eq!(naive::ids(&logits, build(&sampling)), [1, 2, 3, 4, 5, 6, 7]);
    }
}
