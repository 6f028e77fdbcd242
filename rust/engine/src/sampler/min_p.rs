//! `min_p`: the tokens with at least p times the probability of the most likely one (Nguyen et al.
//! 2024, "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs"). Over logits:
//! those of at least `max + ln p`.

use super::Sampling;
use super::candidates::Candidates;
use super::chain::{Effect, Place, Stage};
use super::softmax::max;

struct MinP {
    ln_p: f32,
    min_keep: usize,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    (sampling.min_p > 0.0)
        .then(|| Box::new(MinP { ln_p: sampling.min_p.ln(), min_keep: sampling.min_keep }) as _)
}

impl Stage for MinP {
    fn apply(&mut self, candidates: &mut Candidates, _place: &mut Place) {
        candidates.keep_from(max(candidates) + self.ln_p, self.min_keep);
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
            |s, p| s.min_p = p,
            build,
            |sorted, sampling| {
                let p = naive::softmax(&sorted);
                let n = p.iter().filter(|&&x| x >= f64::from(sampling.min_p) * p[0]).count();
                sorted[..n.max(sampling.min_keep.min(sorted.len()))].to_vec()
            },
        );
    }

    #[test]
    fn is_relative_to_the_best() {
        let logits = [4.0f32, 2.0, 1.0, 1.0].map(f32::ln);
        let kept = |min_p| {
            let sampling = Sampling { min_p, ..Sampling::default() };
            naive::ids(&logits, build(&sampling))
        };
        assert_eq!(kept(1.0), [0]);
        assert_eq!(kept(0.4), [0, 1]);
        assert_eq!(kept(0.2), [0, 1, 2, 3]);
    }
}
