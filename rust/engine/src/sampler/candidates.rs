//! The tokens that may still be chosen.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::softmax::{Sixteens, Softmax, max};

/// A token that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub id: u32,
    pub logit: f32,
}

/// Candidates of which a list takes longer than the whole vocabulary, the others' logits being minus infinity.
pub(crate) const MANY: usize = 1024;

/// Those of the vocabulary at first; listed one by one only when few are left or the list is asked for. Tokens with
/// a logit of minus infinity are never listed. No logit is NaN.
pub(crate) struct Candidates<'a> {
    /// By id; out of use once listed.
    logits: &'a mut [f32],
    list: &'a mut Vec<Candidate>,
    listed: bool,
}

/// The most likely first; of equal ones the lower id.
pub(crate) fn by_rank(a: &Candidate, b: &Candidate) -> Ordering {
    let falling = b.logit.partial_cmp(&a.logit).unwrap_or(Ordering::Equal);
    falling.then(a.id.cmp(&b.id))
}

impl<'a> Candidates<'a> {
    /// The whole vocabulary; `list` is memory to use.
    pub fn new(logits: &'a mut [f32], list: &'a mut Vec<Candidate>) -> Candidates<'a> {
        Candidates { logits, list, listed: false }
    }

    /// Changes the logits of these tokens, those that may still be chosen.
    pub fn change<T>(&mut self, tokens: &HashMap<u32, T>, change: impl Fn(&mut f32, &T)) {
        if self.listed {
            for candidate in self.list.iter_mut() {
                if let Some(about) = tokens.get(&candidate.id) {
                    change(&mut candidate.logit, about);
                }
            }
        } else {
            for (&id, about) in tokens {
                if let Some(logit) = self.logits.get_mut(id as usize) {
                    change(logit, about);
                }
            }
        }
    }

    /// Changes every logit; minus infinity must stay what it is.
    pub fn map(&mut self, change: impl Fn(f32) -> f32) {
        if self.listed {
            self.list.iter_mut().for_each(|candidate| candidate.logit = change(candidate.logit));
        } else {
            self.logits.iter_mut().for_each(|logit| *logit = change(*logit));
        }
    }

    /// The logit of a token, if it may still be chosen.
    pub fn logit(&self, id: u32) -> Option<f32> {
        if self.listed {
            return self.list.iter().find(|c| c.id == id).map(|c| c.logit);
        }
        self.logits.get(id as usize).copied().filter(|&logit| logit > f32::NEG_INFINITY)
    }

    /// The logits of the whole vocabulary by id, unless some are listed.
    pub fn whole(&mut self) -> Option<&mut [f32]> {
        (!self.listed).then_some(&mut *self.logits)
    }

    /// How many there are at most.
    pub fn len(&self) -> usize {
        if self.listed { self.list.len() } else { self.logits.len() }
    }

    pub fn softmax(&self) -> Option<Softmax> {
        Softmax::of(self)
    }

    /// The list, in no particular order.
    pub fn list(&mut self) -> &mut Vec<Candidate> {
        if !self.listed {
            self.listed = true;
            self.list.clear();
            let all = self.logits.iter().enumerate();
            self.list.extend(
                all.filter(|(_, logit)| **logit > f32::NEG_INFINITY)
                    .map(|(id, &logit)| Candidate { id: id as u32, logit }),
            );
        }
        self.list
    }

    /// Leaves the `k` of the highest rank.
    pub fn keep_best(&mut self, k: usize) {
        if !self.listed && k < self.logits.len() {
            self.listed = true;
            select_best(self.logits, k, self.list);
        } else if self.listed {
            truncate_to_best(self.list, k);
        }
    }

    /// Leaves those with at least this logit, and those of the highest rank if they were fewer than
    /// `min_keep`.
    pub fn keep_from(&mut self, threshold: f32, min_keep: usize) {
        let n = self.count_from(threshold);
        if n < min_keep {
            return self.keep_best(min_keep);
        }
        if self.listed {
            return self.list.retain(|c| c.logit >= threshold);
        }
        if n > MANY {
            let left = |x: f32| if x >= threshold { x } else { f32::NEG_INFINITY };
            return self.logits.iter_mut().for_each(|logit| *logit = left(*logit));
        }
        self.listed = true;
        self.list.clear();
        for (i, block) in self.logits.chunks(BLOCK).enumerate() {
            let max = max(block);
            if max >= threshold && max > f32::NEG_INFINITY {
                let candidates = (i * BLOCK..).zip(block);
                self.list.extend(
                    candidates
                        .filter(|&(_, &logit)| logit >= threshold && logit > f32::NEG_INFINITY)
                        .map(|(id, &logit)| Candidate { id: id as u32, logit }),
                );
            }
        }
    }

    /// How many have at least this logit.
    pub fn count_from(&self, threshold: f32) -> usize {
        let mut count = 0;
        self.each16(|logits| {
            for &logit in logits {
                count += usize::from(logit >= threshold && logit > f32::NEG_INFINITY);
            }
        });
        count
    }

    /// The `k` of the highest rank, falling.
    pub fn best(&self, k: usize) -> Vec<Candidate> {
        let mut best = Vec::new();
        if self.listed {
            best.extend_from_slice(self.list);
            truncate_to_best(&mut best, k);
            best.sort_unstable_by(by_rank);
        } else {
            select_best(self.logits, k, &mut best);
        }
        best
    }

    /// A candidate drawn with the probabilities of the softmax; `uniform` gives a number of [0, 1).
    /// The candidates are walked through in the order of their ids, so that the choice depends on
    /// nothing but them and that number.
    pub fn draw(&mut self, uniform: impl FnOnce() -> f64) -> Option<u32> {
        let softmax = self.softmax()?;
        let target = uniform() * softmax.total;
        if !self.listed {
            return draw_from(self.logits, &softmax, target);
        }
        self.list.sort_unstable_by_key(|c| c.id);
        let mut sum = 0.0;
        for candidate in self.list.iter() {
            sum += softmax.weight(candidate.logit);
            if sum > target {
                return Some(candidate.id);
            }
        }
        // Only rounding leads here.
        self.list.iter().rev().find(|c| softmax.weight(c.logit) > 0.0).map(|c| c.id)
    }
}

/// The first token with which the sum of the weights is more than `target`.
fn draw_from(logits: &[f32], softmax: &Softmax, target: f64) -> Option<u32> {
    let mut sum = 0.0;
    for (i, block) in logits.chunks(BLOCK).enumerate() {
        let with = sum + softmax.weights(block);
        if with > target {
            for (id, &logit) in (i * BLOCK..).zip(block) {
                sum += softmax.weight(logit);
                if sum > target {
                    return Some(id as u32);
                }
            }
        }
        sum = with;
    }
    // Only rounding leads here.
    logits.iter().rposition(|&logit| softmax.weight(logit) > 0.0).map(|id| id as u32)
}

impl Sixteens for Candidates<'_> {
    #[inline(always)]
    fn each16(&self, visit: impl FnMut(&[f32; 16])) {
        if self.listed { self.list[..].each16(visit) } else { self.logits.each16(visit) }
    }
}

impl Sixteens for [Candidate] {
    #[inline(always)]
    fn each16(&self, mut visit: impl FnMut(&[f32; 16])) {
        for chunk in self.chunks(16) {
            let mut logits = [f32::NEG_INFINITY; 16];
            logits.iter_mut().zip(chunk).for_each(|(logit, candidate)| *logit = candidate.logit);
            visit(&logits);
        }
    }
}

/// Logits whose maximum is looked at before they are.
const BLOCK: usize = 128;

/// Calls `visit` with the logits above a threshold, by rising id; it gives the threshold from there
/// on. Few blocks of a large vocabulary have such a logit.
fn above(logits: &[f32], mut threshold: f32, mut visit: impl FnMut(Candidate) -> f32) {
    for (i, block) in logits.chunks(BLOCK).enumerate() {
        if max(block) > threshold {
            for (id, &logit) in (i * BLOCK..).zip(block) {
                if logit > threshold {
                    threshold = visit(Candidate { id: id as u32, logit });
                }
            }
        }
    }
}

/// Fills `best` with the `k` best of a whole vocabulary, falling. Every logit is compared with the
/// worst of the best so far; those that pass are collected, and cut down to `k` when they are many.
fn select_best(logits: &[f32], k: usize, best: &mut Vec<Candidate>) {
    best.clear();
    if k == 0 {
        return;
    }
    // The very best alone is compared at once, so that few pass.
    let capacity = if k == 1 { 1 } else { (2 * k).max(64) };
    let mut threshold = f32::NEG_INFINITY;
    above(logits, threshold, |candidate| {
        // An equal logit loses: its id is higher than those that are in.
        best.push(candidate);
        if best.len() >= capacity {
            truncate_to_best(best, k);
            threshold = best[k - 1].logit;
        }
        threshold
    });
    truncate_to_best(best, k);
    best.sort_unstable_by(by_rank);
}

/// Leaves the `k` best, the last of them at the end.
fn truncate_to_best(list: &mut Vec<Candidate>, k: usize) {
    if k < list.len() {
        if k > 0 {
            list.select_nth_unstable_by(k - 1, by_rank);
        }
        list.truncate(k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;
    use crate::sampler::rng::Rng;

    /// Few distinct values, so that ties are everywhere.
    fn tied_logits(n: usize, rng: &mut Rng) -> Vec<f32> {
        (0..n).map(|_| (rng.uniform() * 50.0).floor() as f32).collect()
    }

    #[test]
    fn the_best_are_those_of_a_full_sort() {
        let mut rng = Rng::new(1);
        let mut list = Vec::new();
        for n in [1, 2, 63, 64, 65, 1000, 5000] {
            let logits = tied_logits(n, &mut rng);
            for k in [1, 2, 40, 64, 100] {
                select_best(&logits, k, &mut list);
                assert_eq!(list, naive::sorted(&logits)[..k.min(n)], "{k} of {n}");
            }
            let mut logits = logits.clone();
            let mut candidates = Candidates::new(&mut logits, &mut list);
            let expected = naive::sorted(candidates.logits);
            assert_eq!(candidates.best(7), expected[..7.min(n)]);
            candidates.list();
            assert_eq!(candidates.best(7), expected[..7.min(n)]);
        }
    }

    #[test]
    fn forbidden_tokens_are_never_listed() {
        let inf = f32::NEG_INFINITY;
        let mut list = Vec::new();
        let mut logits = [inf, 1.0, inf, 0.0];
        assert_eq!(Candidates::new(&mut logits, &mut list).list().len(), 2);
        let mut candidates = Candidates::new(&mut logits, &mut list);
        candidates.keep_best(3);
        assert_eq!(candidates.list().len(), 2);
        let mut candidates = Candidates::new(&mut logits, &mut list);
        candidates.keep_from(inf, 4);
        assert_eq!(naive::sorted_ids(candidates.list()), [1, 3]);
        assert_eq!((candidates.logit(1), candidates.logit(2)), (Some(1.0), None));
        let mut forbidden = [inf; 2];
        assert_eq!(Candidates::new(&mut forbidden, &mut list).best(1), []);
        assert_eq!(Candidates::new(&mut forbidden, &mut list).draw(|| 0.0), None);
    }

    #[test]
    fn draws_are_the_same_listed_or_not() {
        let mut rng = Rng::new(17);
        let (mut list, mut other) = (Vec::new(), Vec::new());
        for n in [1, 16, 127, 128, 129, 3000] {
            for i in 0..200 {
                let mut logits: Vec<f32> = (0..n).map(|_| (rng.uniform() * 9.0) as f32).collect();
                (0..n).step_by(3).skip(1).for_each(|id| logits[id] = f32::NEG_INFINITY);
                let mut same = logits.clone();
                let at = [rng.uniform(), 0.0, 1.0][(i % 5).min(2)];
                let unlisted = Candidates::new(&mut logits, &mut list).draw(|| at);
                let mut listed = Candidates::new(&mut same, &mut other);
                listed.list();
                assert!(unlisted.is_some_and(|id| logits[id as usize] > f32::NEG_INFINITY));
                assert_eq!(listed.draw(|| at), unlisted, "{at} of {n}");
            }
        }
    }

    #[test]
    fn those_from_a_threshold_are_the_same_listed_or_not() {
        let mut rng = Rng::new(3);
        let (mut list, mut other) = (Vec::new(), Vec::new());
        for n in [1, 16, 127, 128, 3000] {
            let mut logits = tied_logits(n, &mut rng);
            let mut same = logits.clone();
            for (threshold, min_keep) in [(49.0, 0), (25.0, 3), (60.0, 40), (60.0, 0)] {
                let enough = logits.iter().filter(|&&x| x >= threshold).count();
                let expected = if enough < min_keep { min_keep.min(n) } else { enough };
                let mut unlisted = Candidates::new(&mut logits, &mut list);
                unlisted.keep_from(threshold, min_keep);
                unlisted.list();
                let mut listed = Candidates::new(&mut same, &mut other);
                listed.list();
                listed.keep_from(threshold, min_keep);
                assert_eq!(naive::sorted_ids(&list), naive::sorted_ids(&other));
                assert_eq!(list.len(), expected);
            }
        }
    }
}
