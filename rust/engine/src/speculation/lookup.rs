//! Prompt lookup: a text goes on as it did before after the same tokens (Saxena 2023, "Prompt lookup
//! decoding"). What is copied from a document in the prompt, or said twice, is guessed without a model.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Of this many places after the same two tokens, the last ones, the one with the longest match is taken.
const PLACES: usize = 16;
/// Matches are not measured beyond this length.
const LONGEST: usize = 32;
/// "There is none" among places.
const NONE: u32 = u32::MAX;

/// The places of a text that only grows, by the two tokens before each.
#[derive(Default)]
pub(crate) struct Lookup {
    /// The last place after each pair of tokens.
    last: HashMap<[u32; 2], u32>,
    /// For each place the one before it after the same two tokens.
    before: Vec<u32>,
    /// The place that was found last, and the length of the text then.
    found: Option<(usize, usize)>,
}

/// Where a text was before at the same tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// The place after them.
    pub place: usize,
    /// How many they are, at least two.
    pub length: usize,
}

impl Lookup {
    /// The place with the longest match of the last tokens; of equal ones that which follows the last
    /// place found, else the last in the text. `tokens` begin with those of the calls before.
    pub fn find(&mut self, tokens: &[u32]) -> Option<Match> {
        self.extend(tokens);
        let n = tokens.len();
        let pair = *tokens.last_chunk()?;
        let mut place = self.last.get(&pair).copied().unwrap_or(NONE);
        let places = std::iter::from_fn(|| {
            let this = (place != NONE).then_some(place as usize)?;
            place = self.before[this];
            Some(this)
        });
        let followed = self.found.map(|(place, length)| place + (n - length));
        let best = followed
            .into_iter()
            .chain(places.take(PLACES))
            .map(|place| Match { place, length: common_end(&tokens[..place], tokens) })
            .fold(None, |best: Option<Match>, next| match best {
                Some(best) if best.length >= next.length => Some(best),
                _ => Some(next),
            })
            .filter(|best| best.length >= 2);
        self.found = best.map(|best| (best.place, n));
        best
    }

    /// Notes the places before the last token.
    fn extend(&mut self, tokens: &[u32]) {
        let first = self.before.len();
        self.before.resize(tokens.len().max(first), NONE);
        for place in first.max(2)..tokens.len() {
            let pair = [tokens[place - 2], tokens[place - 1]];
            match self.last.entry(pair) {
                Entry::Occupied(mut entry) => self.before[place] = entry.insert(place as u32),
                Entry::Vacant(entry) => {
                    entry.insert(place as u32);
                }
            }
        }
    }
}

impl Match {
    /// The next `n` tokens as they were at the place; beyond the end of the text the copy goes on with
    /// itself.
    pub fn continuation(self, tokens: &[u32], n: usize) -> Vec<u32> {
        let mut copy: Vec<u32> = Vec::with_capacity(n);
        for i in self.place..self.place + n {
            copy.push(if i < tokens.len() { tokens[i] } else { copy[i - tokens.len()] });
        }
        copy
    }
}

/// How many tokens are the same at the ends.
fn common_end(a: &[u32], b: &[u32]) -> usize {
    let pairs = a.iter().rev().zip(b.iter().rev()).take(LONGEST);
    pairs.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by trying every place.
    fn longest(tokens: &[u32]) -> usize {
        let lengths = (2..tokens.len()).map(|place| common_end(&tokens[..place], tokens));
        lengths.filter(|&length| length >= 2).max().unwrap_or(0)
    }

    #[test]
    fn the_longest_match_is_found_as_the_text_grows() {
        let mut x = 1u64;
        let mut random = |below: u64| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 33) % below
        };
        // Many tokens, so that a pair has few places.
        for n_tokens in [30, 300] {
            let mut lookup = Lookup::default();
            let mut tokens: Vec<u32> = Vec::new();
            while tokens.len() < 600 {
                if random(20) == 0 && tokens.len() > 40 {
                    let from = random(tokens.len() as u64 - 40) as usize;
                    tokens.extend_from_within(from..from + random(40) as usize);
                } else {
                    tokens.push(random(n_tokens) as u32);
                }
                let found = lookup.find(&tokens);
                assert_eq!(found.map_or(0, |m| m.length), longest(&tokens), "{tokens:?}");
                if let Some(Match { place, length }) = found {
                    assert!(place < tokens.len());
                    assert_eq!(common_end(&tokens[..place], &tokens), length);
                }
            }
        }
    }

    #[test]
    fn a_place_once_found_is_followed_past_many_later_ones() {
        let document: Vec<u32> = (0..40).chain([7, 8]).collect();
        // The pair 7, 8 comes up so often that the document is not among the last places.
        let mut tokens = document.clone();
        (0..PLACES as u32 * 2).for_each(|i| tokens.extend([7, 8, 100 + i]));
        let mut lookup = Lookup::default();
        tokens.extend(0..7);
        assert_eq!(lookup.find(&tokens), Some(Match { place: 7, length: 7 }));
        tokens.extend([7, 8]);
        assert_eq!(lookup.find(&tokens), Some(Match { place: 9, length: 9 }));
    }

    #[test]
    fn a_copy_goes_on_beyond_the_end() {
        let tokens = [9, 1, 2, 3, 1, 2, 3, 1, 2];
        let found = Lookup::default().find(&tokens).expect("a match");
        assert_eq!(found, Match { place: 6, length: 5 });
        assert_eq!(found.continuation(&tokens, 8), [3, 1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn short_texts_have_no_matches() {
        let mut lookup = Lookup::default();
        for tokens in [&[][..], &[1], &[1, 1]] {
            assert_eq!(lookup.find(tokens), None);
        }
        assert_eq!(lookup.find(&[1, 1, 1]), Some(Match { place: 2, length: 2 }));
    }
}
