//! `top_k`: the k most likely tokens (Fan, Lewis and Dauphin 2018, "Hierarchical Neural Story
//! Generation"). Of equally likely ones at the border those with lower ids stay.

use super::Sampling;
use super::candidates::Candidates;
use super::chain::{Effect, Place, Stage};

struct TopK {
    k: usize,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let k = usize::try_from(sampling.top_k).ok().filter(|&k| k > 0)?;
    Some(Box::new(TopK { k }))
}

impl Stage for TopK {
    fn apply(&mut self, candidates: &mut Candidates, _place: &mut Place) {
        candidates.keep_best(self.k);
    }

    fn effect(&self) -> Effect {
        Effect::Narrows
    }
}
