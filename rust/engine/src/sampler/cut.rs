//! Leaving the first candidates in an order, as many as have enough weight together.

use std::cmp::Ordering;

use super::candidates::{Candidate, Candidates, MANY};
use super::softmax::{Sixteens, Softmax};

/// Parts of the order of a whole vocabulary.
const BUCKETS: usize = 2048;

/// An order of candidates: by rising key, of equal ones by rising id.
pub(crate) struct Order<K, P> {
    /// The key of a logit.
    pub key: K,
    /// Never falls where the key rises; there is enough weight between 0 and 1.
    pub place: P,
}

impl<K: Fn(f32) -> f64, P: Fn(f32) -> f32> Order<K, P> {
    fn compare(&self, a: &Candidate, b: &Candidate) -> Ordering {
        let (first, second) = ((self.key)(a.logit), (self.key)(b.logit));
        first.partial_cmp(&second).unwrap_or(Ordering::Equal).then(a.id.cmp(&b.id))
    }

    /// The part of the order that each logit is in; `BUCKETS` is behind all.
    #[inline(always)]
    fn buckets(&self, logits: &[f32; 16]) -> [u16; 16] {
        // Adding 1.5 · 2^23 rounds to an integer, left in the low bits.
        const MAGIC: f32 = 12_582_912.0;
        const END: f32 = BUCKETS as f32;
        let mut buckets = [0; 16];
        for (bucket, &logit) in buckets.iter_mut().zip(logits) {
            let place = (self.place)(logit) * (END - 1.0);
            let place = if place < END { place } else { END };
            let place = if place > 0.0 { place } else { 0.0 };
            *bucket = (place + MAGIC).to_bits() as u16;
        }
        buckets
    }
}

impl Candidates<'_> {
    /// Leaves those that come first, up to the one with which the sum of the weights and the number are `enough`;
    /// all of them where they never are.
    pub fn keep_first<K: Fn(f32) -> f64, P: Fn(f32) -> f32>(
        &mut self,
        softmax: &Softmax,
        order: &Order<K, P>,
        enough: impl Fn(f64, usize) -> bool,
    ) {
        if self.whole().is_none_or(|logits| logits.len() <= MANY)
            || !self.keep_first_of_many(softmax, order, &enough)
        {
            keep_until(
                self.list(),
                |a, b| order.compare(a, b),
                |c| softmax.weight(c.logit),
                enough,
            );
        }
    }

    /// The same of a whole vocabulary, none of which is sorted but a small part; false, and nothing done, where there is
    /// not enough between 0 and 1.
    fn keep_first_of_many<K: Fn(f32) -> f64, P: Fn(f32) -> f32>(
        &mut self,
        softmax: &Softmax,
        order: &Order<K, P>,
        enough: impl Fn(f64, usize) -> bool,
    ) -> bool {
        let Some(logits) = self.whole() else {
            return false;
        };
        let mut sums = [(0.0, 0); BUCKETS + 1];
        let mut buckets: Vec<[u16; 16]> = Vec::with_capacity(logits.len().div_ceil(16));
        logits.each16(|logits| {
            let (weights, places) = (softmax.weights16(logits), order.buckets(logits));
            for (weight, &place) in weights.into_iter().zip(&places) {
                let (sum, n) = &mut sums[usize::from(place).min(BUCKETS)];
                *sum += f64::from(weight);
                *n += 1;
            }
            buckets.push(places);
        });
        let (mut sum, mut kept) = (0.0, 0);
        let last = sums[..BUCKETS].iter().position(|(more, n)| {
            let is_enough = enough(sum + more, kept + n);
            if !is_enough {
                (sum, kept) = (sum + more, kept + n);
            }
            is_enough
        });
        let Some(last) = last else {
            return false;
        };
        let mut list: Vec<Candidate> = Vec::with_capacity(sums[last].1);
        for (i, (logits, places)) in logits.chunks_mut(16).zip(&buckets).enumerate() {
            if places.iter().fold(false, |any, &place| any | (usize::from(place) == last)) {
                let among = (16 * i..).zip(&*logits).zip(places);
                let found = among.filter(|(_, place)| usize::from(**place) == last);
                list.extend(found.map(|((id, &logit), _)| Candidate { id: id as u32, logit }));
            }
            for (logit, &place) in logits.iter_mut().zip(places) {
                *logit = if usize::from(place) > last { f32::NEG_INFINITY } else { *logit };
            }
        }
        list.sort_unstable_by(|a, b| order.compare(a, b));
        let n = list.iter().position(|candidate| {
            sum += softmax.weight(candidate.logit);
            kept += 1;
            enough(sum, kept)
        });
        for candidate in &list[n.map_or(list.len(), |n| n + 1)..] {
            logits[candidate.id as usize] = f32::NEG_INFINITY;
        }
        if kept <= MANY {
            self.list();
        }
        true
    }
}

/// Leaves the beginning of the list, taken in an order, up to the candidate with which the sum of the
/// weights and the number so far are `enough`; all of it where they never are. Halves are parted by
/// rank until few are left to sort, so that a long list takes time in proportion.
fn keep_until(
    list: &mut Vec<Candidate>,
    order: impl Fn(&Candidate, &Candidate) -> Ordering,
    weight: impl Fn(&Candidate) -> f64,
    enough: impl Fn(f64, usize) -> bool,
) {
    // Those before `begin` come first and are not enough; those before `end` are, or are all.
    let (mut begin, mut end, mut sum) = (0, list.len(), 0.0);
    while end - begin > 64 {
        let middle = begin + (end - begin) / 2;
        list[begin..end].select_nth_unstable_by(middle - begin, &order);
        let first: f64 = list[begin..middle].iter().map(&weight).sum();
        if enough(sum + first, middle) {
            end = middle;
        } else {
            sum += first;
            begin = middle;
        }
    }
    list[begin..end].sort_unstable_by(&order);
    let mut rank = begin;
    let last = list[begin..end].iter().position(|candidate| {
        sum += weight(candidate);
        rank += 1;
        enough(sum, rank)
    });
    list.truncate(last.map_or(end, |last| begin + last + 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::candidates::by_rank;
    use crate::sampler::naive;
    use crate::sampler::rng::Rng;

    /// Few distinct values, so that ties are everywhere.
    fn tied_logits(n: usize, rng: &mut Rng) -> Vec<f32> {
        (0..n).map(|_| (rng.uniform() * 50.0).floor() as f32).collect()
    }

    #[test]
    fn walking_stops_where_a_full_sort_would() {
        let mut rng = Rng::new(2);
        let logits = tied_logits(3000, &mut rng);
        let sorted = naive::sorted(&logits);
        for n in [1, 64, 65, 400, 2999, 3000, 4000] {
            let mut list: Vec<Candidate> = sorted.iter().rev().copied().collect();
            keep_until(
                &mut list,
                by_rank,
                |_| 0.5,
                |sum, kept| {
                    assert_eq!(sum, kept as f64 * 0.5);
                    kept >= n
                },
            );
            list.sort_by(by_rank);
            assert_eq!(list, sorted[..n.min(3000)]);
        }
    }

    #[test]
    fn a_whole_vocabulary_is_cut_where_its_list_is() {
        let mut rng = Rng::new(5);
        let n = 20_000;
        let flat: Vec<f32> = (0..n).map(|_| rng.uniform() as f32).collect();
        let mut far = flat.clone();
        (far[7], far[8], far[9]) = (-3e30, 12.0, f32::NEG_INFINITY);
        let constant = vec![0.5; n];
        for logits in [flat, tied_logits(n, &mut rng), far, constant] {
            let softmax = Softmax::of(&logits[..]).expect("some are finite");
            let middle = f64::from(softmax.max) - 0.3;
            for distance in [false, true] {
                let key = |logit: f32| match distance {
                    false => -f64::from(logit),
                    true => (f64::from(logit) - middle).abs(),
                };
                let start = if distance { 0.0 } else { key(softmax.max) };
                let place = |logit: f32| ((key(logit) - start) / 20.0) as f32;
                let order = Order { key, place };
                for (p, min_keep) in [(0.0, 1), (0.001, 0), (0.7, 0), (0.99, 12_345), (1.1, 0)] {
                    let enough = |sum, n| sum >= p * softmax.total && n >= min_keep;
                    let (mut whole, mut list) = (logits.clone(), Vec::new());
                    let mut candidates = Candidates::new(&mut whole, &mut list);
                    candidates.keep_first(&softmax, &order, enough);
                    candidates.list();
                    let (mut same, mut expected) = (logits.clone(), Vec::new());
                    Candidates::new(&mut same, &mut expected).list();
                    expected.sort_by(|a, b| order.compare(a, b));
                    let (mut sum, mut kept) = (0.0, 0);
                    let last = expected.iter().position(|c| {
                        sum += softmax.weight(c.logit);
                        kept += 1;
                        enough(sum, kept)
                    });
                    expected.truncate(last.map_or(n, |last| last + 1));
                    assert_eq!(naive::sorted_ids(&list), naive::sorted_ids(&expected), "{p}");
                }
            }
        }
    }
}
