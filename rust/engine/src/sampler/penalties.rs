//! `repeat_penalty`, `frequency_penalty` and `presence_penalty`, for the tokens that are among the
//! last `repeat_last_n`, prompt included.
//!
//! The first (Keskar et al. 2019, "CTRL", with the sign corrected) divides a positive logit and
//! multiplies another one, so that above 1 it always lowers. The others are those of the OpenAI
//! API: `frequency_penalty` times the count and `presence_penalty` are subtracted.

use super::Sampling;
use super::candidates::Candidates;
use super::chain::Stage;

struct Penalties {
    last_n: usize,
    repeat: f32,
    frequency: f32,
    presence: f32,
    /// Memory for the last tokens, sorted.
    recent: Vec<u32>,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let penalties = Penalties {
        last_n: usize::try_from(sampling.repeat_last_n).unwrap_or(usize::MAX),
        repeat: sampling.repeat_penalty,
        frequency: sampling.frequency_penalty,
        presence: sampling.presence_penalty,
        recent: Vec::new(),
    };
    let is_on = penalties.last_n > 0
        && (penalties.repeat != 1.0 || penalties.frequency != 0.0 || penalties.presence != 0.0);
    is_on.then(|| Box::new(penalties) as _)
}

impl Stage for Penalties {
    fn apply(&mut self, candidates: &mut Candidates, history: &[u32]) {
        let from = history.len().saturating_sub(self.last_n);
        self.recent.clear();
        self.recent.extend_from_slice(&history[from..]);
        self.recent.sort_unstable();
        for same in self.recent.chunk_by(|a, b| a == b) {
            let Some(logit) = candidates.logit_mut(same[0]) else {
                continue;
            };
            if *logit > 0.0 {
                *logit /= self.repeat;
            } else {
                *logit *= self.repeat;
            }
            *logit -= self.frequency * same.len() as f32 + self.presence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;

    fn penalize(sampling: Sampling, history: &[u32]) -> Vec<f32> {
        let mut logits = [2.0, -2.0, 1.0, -1.0];
        let mut list = Vec::new();
        let mut candidates = Candidates::new(&mut logits, &mut list);
        if let Some(mut stage) = build(&sampling) {
            stage.apply(&mut candidates, history);
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
        build(&sampling).expect("it is on").apply(&mut candidates, &[0, 1]);
        assert_eq!(candidates.best(), Some(2));
        assert_eq!(naive::sorted_ids(candidates.list()), [0, 2]);
    }
}
