//! `repeat_penalty`, `frequency_penalty` and `presence_penalty`, for the tokens that are among the
//! last `repeat_last_n`, prompt included.
//!
//! The first (Keskar et al. 2019, "CTRL", with the sign corrected) divides a positive logit and
//! multiplies another one, so that above 1 it always lowers. The others are those of the OpenAI
//! API: `frequency_penalty` times the count and `presence_penalty` are subtracted.

use std::collections::HashMap;
use std::ops::Range;

use super::Sampling;
use super::candidates::Candidates;
use super::chain::{Place, Stage};

struct Penalties {
    last_n: usize,
    repeat: f32,
    frequency: f32,
    presence: f32,
    /// How often each token is in the counted part of the history. That only grows at its end, so
    /// that few are to be counted anew.
    counts: HashMap<u32, u32>,
    counted: Range<usize>,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let penalties = Penalties {
        last_n: usize::try_from(sampling.repeat_last_n).unwrap_or(usize::MAX),
        repeat: sampling.repeat_penalty,
        frequency: sampling.frequency_penalty,
        presence: sampling.presence_penalty,
        counts: HashMap::new(),
        counted: 0..0,
    };
    let is_on = penalties.last_n > 0
        && (penalties.repeat != 1.0 || penalties.frequency != 0.0 || penalties.presence != 0.0);
    is_on.then(|| Box::new(penalties) as _)
}

impl Penalties {
    fn count(&mut self, history: &[u32]) {
        let wanted = history.len().saturating_sub(self.last_n)..history.len();
        if self.counted.end <= wanted.start || self.counted.end > wanted.end {
            self.counts.clear();
            self.counted = wanted.start..wanted.start;
        }
        for token in &history[self.counted.end..wanted.end] {
            *self.counts.entry(*token).or_default() += 1;
        }
        for token in &history[self.counted.start..wanted.start] {
            if let Some(count) = self.counts.get_mut(token) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(token);
                }
            }
        }
        self.counted = wanted;
    }
}

impl Stage for Penalties {
    fn apply(&mut self, candidates: &mut Candidates, place: &mut Place) {
        self.count(place.history);
        let (repeat, frequency, presence) = (self.repeat, self.frequency, self.presence);
        candidates.change(&self.counts, |logit, &count| {
            if *logit > 0.0 {
                *logit /= repeat;
            } else {
                *logit *= repeat;
            }
            *logit -= frequency * count as f32 + presence;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;
    use crate::sampler::rng::Rng;

    fn penalize(sampling: Sampling, history: &[u32]) -> Vec<f32> {
        let mut logits = [2.0, -2.0, 1.0, -1.0];
        let mut list = Vec::new();
        let mut candidates = Candidates::new(&mut logits, &mut list);
        if let Some(mut stage) = build(&sampling) {
            stage.apply(&mut candidates, &mut Place::for_test(history, Rng::new(0)));
        }
        let list = candidates.list();
        list.sort_by_key(|c| c.id);
        list.iter().map(|c| c.logit).collect()
    }

    #[test]
    fn repetition_divides_positive_and_multiplies_negative_logits() {
        let sampling = Sampling { repeat_penalty: 2.0, ..Sampling::default() };
        assert_eq!(penalize(sampling, &[0, 1, 1]), [1.0, -4.0, 1.0, -1.0]);
    }

    #[test]
    fn frequency_counts_and_presence_does_not() {
        let sampling =
            Sampling { frequency_penalty: 0.5, presence_penalty: 0.25, ..Sampling::default() };
        assert_eq!(penalize(sampling, &[1, 0, 1]), [1.25, -3.25, 1.0, -1.0]);
    }

    #[test]
    fn only_the_last_tokens_count() {
        let sampling = |repeat_last_n| Sampling {
            presence_penalty: 1.0,
            repeat_last_n,
            ..Sampling::default()
        };
        let history = [0, 1, 2];
        assert_eq!(penalize(sampling(2), &history), [2.0, -3.0, 0.0, -1.0]);
        assert_eq!(penalize(sampling(-1), &history), [1.0, -3.0, 0.0, -1.0]);
        assert_eq!(penalize(sampling(0), &history), [2.0, -2.0, 1.0, -1.0]);
    }

    #[test]
    fn a_listed_candidate_is_penalized_too() {
        let sampling = Sampling { presence_penalty: 1.5, ..Sampling::default() };
        let mut logits = [2.0, 0.0, 1.0];
        let mut list = Vec::new();
        let mut candidates = Candidates::new(&mut logits, &mut list);
        candidates.keep_best(2);
        let mut place = Place::for_test(&[0, 1], Rng::new(0));
        build(&sampling).expect("it is on").apply(&mut candidates, &mut place);
        assert_eq!(candidates.best(1)[0].id, 2);
        assert_eq!(naive::sorted_ids(candidates.list()), [0, 2]);
    }

    #[test]
    fn counts_go_with_the_history() {
        let mut rng = Rng::new(8);
        let text: Vec<u32> = (0..200).map(|_| (rng.uniform() * 6.0) as u32).collect();
        for repeat_last_n in [1, 7, 64, -1] {
            let sampling =
                Sampling { frequency_penalty: 1.0, repeat_last_n, ..Sampling::default() };
            let mut stage = build(&sampling).expect("it is on");
            // Also again at the same place, and a new text.
            for end in [0, 1, 2, 9, 9, 10, 80, 81, 200, 30, 31] {
                let (mut logits, mut list) = ([0.0; 6], Vec::new());
                let mut candidates = Candidates::new(&mut logits, &mut list);
                stage.apply(&mut candidates, &mut Place::for_test(&text[..end], rng.clone()));
                let last_n = usize::try_from(repeat_last_n).unwrap_or(end).min(end);
                for (id, logit) in logits.iter().enumerate() {
                    let window = &text[end - last_n..end];
                    let count = window.iter().filter(|&&token| token == id as u32).count();
                    assert_eq!(*logit, -(count as f32), "{id} in {last_n} before {end}");
                }
            }
        }
    }
}
