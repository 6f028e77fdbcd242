//! `dry`, don't repeat yourself: lowers tokens that would prolong a repetition. Where the end of the
//! text, n tokens of it, was there before, the token that came next loses `dry_multiplier *
//! dry_base^(n - dry_allowed_length)`, unless n is below the allowed length
//! (oobabooga/text-generation-webui pull request 5677).
//!
//! A sequence breaker ends what counts as the same; one of a single token is never lowered itself.

use std::collections::HashMap;
use std::sync::Arc;

use super::Sampling;
use super::candidates::Candidates;
use super::chain::{Place, Stage};

/// Token sequences across which nothing counts as repeated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Breakers {
    /// By the first token what follows it.
    tails: HashMap<u32, Vec<Vec<u32>>>,
}

impl Breakers {
    /// From first tokens, each with those that follow it, which may be none.
    pub fn new(sequences: impl IntoIterator<Item = (u32, Vec<u32>)>) -> Breakers {
        let mut tails: HashMap<u32, Vec<Vec<u32>>> = HashMap::new();
        for (head, tail) in sequences {
            tails.entry(head).or_default().push(tail);
        }
        Breakers { tails }
    }

    fn tails(&self, head: u32) -> &[Vec<u32>] {
        self.tails.get(&head).map_or(&[], Vec::as_slice)
    }

    fn is_one(&self, token: u32) -> bool {
        self.tails(token).iter().any(Vec::is_empty)
    }

    /// How many tokens there are after the last breaker; all of them if there is none. Of breakers
    /// that begin at the same token the longest counts.
    fn tokens_after_last(&self, text: &[u32]) -> usize {
        let ends = text.iter().enumerate().rev().filter_map(|(at, &token)| {
            let rest = &text[at + 1..];
            let tails = self.tails(token).iter().filter(|tail| rest.starts_with(tail));
            Some(rest.len() - tails.map(Vec::len).max()?)
        });
        ends.into_iter().next().unwrap_or(text.len())
    }
}

struct Dry {
    multiplier: f32,
    base: f32,
    allowed_length: usize,
    last_n: usize,
    breakers: Arc<Breakers>,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let dry = Dry {
        multiplier: sampling.dry_multiplier,
        base: sampling.dry_base,
        allowed_length: sampling.dry_allowed_length,
        last_n: usize::try_from(sampling.dry_penalty_last_n).unwrap_or(usize::MAX),
        breakers: sampling.dry_sequence_breakers.clone(),
    };
    (dry.multiplier != 0.0 && dry.last_n > 0).then(|| Box::new(dry) as _)
}

impl Stage for Dry {
    fn apply(&mut self, candidates: &mut Candidates, place: &mut Place) {
        let text = &place.history[place.history.len().saturating_sub(self.last_n)..];
        let limit = self.breakers.tokens_after_last(text);
        if text.len() <= self.allowed_length || limit < self.allowed_length {
            return;
        }
        // By token the longest repetition that it would prolong.
        let mut longest: HashMap<u32, usize> = HashMap::new();
        for (length, &next) in lengths_before(text).iter().zip(&text[1..]) {
            let length = (*length).min(limit);
            if length >= self.allowed_length && !self.breakers.is_one(next) {
                let longest = longest.entry(next).or_default();
                *longest = length.max(*longest);
            }
        }
        candidates.change(&longest, |logit, length| {
            *logit -= self.penalty(length - self.allowed_length);
        });
    }
}

impl Dry {
    /// The penalty of a repetition that is so much too long; finite.
    fn penalty(&self, excess: usize) -> f32 {
        let power = f64::from(self.base).powf(excess as f64);
        // As in llama.cpp the power, not the product, is kept within what a float can hold.
        let power = power.min(f64::from(f32::MAX));
        (f64::from(self.multiplier) * power).min(f64::from(f32::MAX)) as f32
    }
}

/// For each token but the last the length of the longest text that ends there and is also the end of
/// all. The Z-algorithm (Gusfield 1997) on the reversed text, so in time proportional to its length.
fn lengths_before(text: &[u32]) -> Vec<usize> {
    let n = text.len();
    let from_end = |i: usize| text[n - 1 - i];
    let mut lengths = vec![0; n.saturating_sub(1)];
    // The known match that reaches farthest back: `from..to`, counted from the end.
    let (mut from, mut to) = (0, 0);
    for i in 1..n {
        let mut length = 0;
        if i < to {
            // Its mirror image at the end.
            let known = if i == from { 0 } else { lengths[n - 1 - (i - from)] };
            length = known.min(to - i);
        }
        while i + length < n && from_end(length) == from_end(i + length) {
            length += 1;
        }
        if i + length > to {
            (from, to) = (i, i + length);
        }
        lengths[n - 1 - i] = length;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::rng::Rng;

    fn dry(sampling: Sampling, history: &[u32], n_vocab: usize) -> Vec<f32> {
        let (mut logits, mut list) = (vec![0.0; n_vocab], Vec::new());
        let mut candidates = Candidates::new(&mut logits, &mut list);
        if let Some(mut stage) = build(&sampling) {
            let mut place = Place::for_test(history, Rng::new(0));
            stage.apply(&mut candidates, &mut place);
        }
        logits
    }

    fn breakers(sequences: &[&[u32]]) -> Arc<Breakers> {
        Arc::new(Breakers::new(sequences.iter().map(|s| (s[0], s[1..].to_vec()))))
    }

    /// The definition, for every place where a token could have been repeated.
    fn reference(sampling: &Sampling, history: &[u32], breakers: &[&[u32]], n: usize) -> Vec<f32> {
        let last_n = usize::try_from(sampling.dry_penalty_last_n).unwrap_or(usize::MAX);
        let text = &history[history.len().saturating_sub(last_n)..];
        let mut limit = text.len();
        for at in 0..text.len() {
            let here = breakers.iter().filter(|b| text[at..].starts_with(b)).map(|b| b.len()).max();
            if let Some(length) = here {
                limit = text.len() - at - length;
            }
        }
        let mut logits = vec![0.0f32; n];
        if text.len() <= sampling.dry_allowed_length || limit < sampling.dry_allowed_length {
            return logits;
        }
        for (next, &token) in text.iter().enumerate().skip(1) {
            let length = (0..=next.min(limit))
                .filter(|&length| text[..next].ends_with(&text[text.len() - length..]))
                .max();
            let length = length.expect("0 is always one");
            if length >= sampling.dry_allowed_length && !breakers.contains(&&[token][..]) {
                let excess = (length - sampling.dry_allowed_length) as i32;
                let penalty = sampling.dry_multiplier * sampling.dry_base.powi(excess);
                logits[token as usize] = logits[token as usize].min(-penalty);
            }
        }
        logits
    }

    #[test]
    fn equals_the_definition() {
        let mut rng = Rng::new(21);
        let mut penalized = 0;
        for case in 0..4000 {
            let n_vocab = 2 + case % 5;
            let n = (rng.uniform() * 40.0) as usize;
            let mut token = || (rng.uniform() * n_vocab as f64) as u32;
            let history: Vec<u32> = (0..n).map(|_| token()).collect();
            let breaker = [token(), token(), token()];
            let sets: [&[&[u32]]; 4] = [
                &[],
                &[&breaker[..1]],
                &[&breaker[..2], &breaker],
                &[&breaker[..1], &breaker[1..]],
            ];
            let sequences = sets[case % 4];
            let sampling = Sampling {
                dry_multiplier: 0.8,
                dry_base: 1.5,
                dry_allowed_length: case % 4,
                dry_penalty_last_n: [-1, 0, 7, 25][case / 4 % 4],
                dry_sequence_breakers: breakers(sequences),
                ..Sampling::default()
            };
            let expected = reference(&sampling, &history, sequences, n_vocab);
            let got = dry(sampling.clone(), &history, n_vocab);
            let close = got.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs());
            assert!(close, "{got:?} for {expected:?}: {history:?}, {sampling:?}");
            penalized += usize::from(got.iter().any(|&x| x < 0.0));
        }
        assert!(penalized > 1000, "{penalized}");
    }

    #[test]
    fn the_token_that_would_go_on_is_lowered() {
        let sampling = Sampling { dry_multiplier: 2.0, dry_base: 3.0, ..Sampling::default() };
        // 1 2 3 4 has been there, so 4 would be the fourth of the same.
        let history = [1, 2, 3, 4, 0, 1, 2, 3];
        assert_eq!(dry(sampling.clone(), &history, 5), [0.0, 0.0, 0.0, 0.0, -6.0]);
        let broken = |sequences: &[&[u32]]| {
            let dry_sequence_breakers = breakers(sequences);
            dry(Sampling { dry_sequence_breakers, ..sampling.clone() }, &history, 5)[4]
        };
        assert_eq!(broken(&[&[0]]), -6.0, "not within it");
        assert_eq!(broken(&[&[1]]), -2.0, "2 3 alone is the same");
        assert_eq!(broken(&[&[2]]), 0.0, "3 is too short");
        assert_eq!(broken(&[&[0, 1]]), -2.0);
        assert_eq!(broken(&[&[0, 2]]), -6.0, "0 2 is not there");
        assert_eq!(broken(&[&[4]]), 0.0, "a breaker is not lowered");
        assert_eq!(broken(&[&[4, 4]]), -6.0);
    }

    #[test]
    fn a_long_repetition_stays_finite() {
        let history = vec![1; 3000];
        let sampling = |dry_multiplier, dry_base| Sampling {
            dry_multiplier,
            dry_base,
            dry_penalty_last_n: -1,
            ..Sampling::default()
        };
        let logit = |m, b| dry(sampling(m, b), &history, 2)[1];
        assert!(logit(0.8, 1.75).is_finite() && logit(0.8, 1.75) < -1e37);
        assert!(logit(1e30, 1.75).is_finite());
        assert_eq!(logit(0.8, 1.0), -0.8);
        assert_eq!(dry(sampling(0.8, 1.75), &[], 2), [0.0; 2]);
    }

    #[test]
    fn a_listed_candidate_is_lowered_too() {
        let sampling = Sampling { dry_multiplier: 1.0, ..Sampling::default() };
        let (mut logits, mut list) = ([5.0, 0.0, 0.0, 4.5], Vec::new());
        let mut candidates = Candidates::new(&mut logits, &mut list);
        candidates.keep_best(2);
        let mut place = Place::for_test(&[1, 2, 0, 1, 2], Rng::new(0));
        build(&sampling).expect("it is on").apply(&mut candidates, &mut place);
        assert_eq!(candidates.best(2).iter().map(|c| c.id).collect::<Vec<_>>(), [3, 0]);
    }
}
