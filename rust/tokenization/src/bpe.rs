//! Byte pair encoding: neighbours are merged again and again, the best pair first, of equals the
//! leftmost.
//!
//! Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"; the heap and
//! the list of neighbours as in SentencePiece (Kudo and Richardson 2018).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashMap;

use crate::{Fallback, Model, Vocabulary};

/// The tokens, and which pair is the best.
pub struct Bpe {
    vocabulary: Vocabulary,
    order: Order,
    fallback: Fallback,
    whole_pieces: bool,
}

enum Order {
    /// By the place in a list of merges: what a pair becomes, and its rank.
    Listed(HashMap<(u32, u32), Union>),
    /// By the score of the token that the pair becomes: its rank, by id.
    Scored(Vec<u32>),
}

#[derive(Clone, Copy)]
struct Union {
    rank: u32,
    id: u32,
}

/// The merge at this index is not two texts with a space between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenMerge(pub usize);

impl Bpe {
    /// Merges as `merges` lists them, best first, each two texts with a space between; those whose
    /// halves or result are no tokens are left out.
    ///
    /// With `whole_pieces` a piece that is a token is taken whole, whatever the merges say.
    pub fn listed<'a>(
        vocabulary: Vocabulary,
        merges: impl ExactSizeIterator<Item = &'a [u8]>,
        fallback: Fallback,
        whole_pieces: bool,
    ) -> Result<Bpe, BrokenMerge> {
        let mut unions = HashMap::with_capacity(merges.len());
        let mut whole = Vec::new();
        for ((index, merge), rank) in merges.enumerate().zip(0..) {
            // From the second byte on: the first half is never empty but may be a space.
            let space = (1..merge.len()).find(|&place| merge[place] == b' ');
            let space = space.ok_or(BrokenMerge(index))?;
            let (left, right) = (&merge[..space], &merge[space + 1..]);
            whole.clear();
            whole.extend_from_slice(left);
            whole.extend_from_slice(right);
            if let (Some(left), Some(right), Some(id)) =
                (vocabulary.id(left), vocabulary.id(right), vocabulary.id(&whole))
            {
                unions.insert((left, right), Union { rank, id });
            }
        }
        Ok(Bpe { vocabulary, order: Order::Listed(unions), fallback, whole_pieces })
    }

    /// Merges neighbours whose union is a token, the highest score first. A token without a score
    /// comes last.
    pub fn scored(vocabulary: Vocabulary, scores: &[f32], fallback: Fallback) -> Bpe {
        let rank = |id| scores.get(id).map_or(u32::MAX, |&score| descending(score));
        let ranks = (0..vocabulary.len()).map(rank).collect();
        Bpe { vocabulary, order: Order::Scored(ranks), fallback, whole_pieces: false }
    }

    fn union(&self, piece: &[u8], left: &Symbol, right: &Symbol) -> Option<Union> {
        match &self.order {
            Order::Listed(unions) => unions.get(&(left.id?, right.id?)).copied(),
            Order::Scored(ranks) => {
                let id = self.vocabulary.id(piece.get(left.start..right.start + right.len)?)?;
                Some(Union { rank: *ranks.get(id as usize)?, id })
            }
        }
    }

    /// The characters of a piece. Where merges are listed, what stands for a character without a
    /// token stands here already; where tokens are scored, it may yet become part of a token.
    fn symbols(&self, piece: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(piece.len());
        for (start, character) in piece.char_indices() {
            let len = character.len_utf8();
            let text = &piece.as_bytes()[start..start + len];
            let id = self.vocabulary.id(text);
            if id.is_some() || matches!(self.order, Order::Scored(_)) {
                symbols.push(Symbol { id, start, len, next: None, previous: None });
            } else {
                let mut start = start;
                self.fallback.each(text, |id, len| {
                    symbols.push(Symbol { id: Some(id), start, len, next: None, previous: None });
                    start += len;
                });
            }
        }
        let last = symbols.len().saturating_sub(1);
        for (place, symbol) in symbols.iter_mut().enumerate() {
            symbol.previous = place.checked_sub(1);
            symbol.next = (place < last).then_some(place + 1);
        }
        symbols
    }
}

/// A part of a piece; a symbol of no bytes has been merged into another.
struct Symbol {
    id: Option<u32>,
    start: usize,
    len: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// A pair that can be merged, as long as both are what they were. The order is that of merging.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    left: usize,
    right: usize,
    len: usize,
    id: u32,
}

impl Model for Bpe {
    fn encode(&self, piece: &str, ids: &mut Vec<u32>) {
        if self.whole_pieces
            && let Some(id) = self.vocabulary.id(piece.as_bytes())
        {
            ids.push(id);
            return;
        }
        let bytes = piece.as_bytes();
        let mut symbols = self.symbols(piece);
        let candidate = |symbols: &[Symbol], left: usize, right: usize| {
            let (first, second) = (&symbols[left], &symbols[right]);
            let Union { rank, id } = self.union(bytes, first, second)?;
            Some(Reverse(Candidate { rank, left, right, len: first.len + second.len, id }))
        };
        let pairs = 1..symbols.len();
        let mut queue: BinaryHeap<_> =
            pairs.filter_map(|right| candidate(&symbols, right - 1, right)).collect();
        while let Some(Reverse(Candidate { left, right, len, id, .. })) = queue.pop() {
            let lens = (symbols[left].len, symbols[right].len);
            if lens.0 == 0 || lens.1 == 0 || lens.0 + lens.1 != len {
                continue;
            }
            let next = symbols[right].next;
            symbols[right].len = 0;
            symbols[left].id = Some(id);
            symbols[left].len = len;
            symbols[left].next = next;
            if let Some(next) = next {
                symbols[next].previous = Some(left);
                queue.extend(candidate(&symbols, left, next));
            }
            if let Some(previous) = symbols[left].previous {
                queue.extend(candidate(&symbols, previous, left));
            }
        }
        for symbol in symbols.iter().filter(|symbol| symbol.len > 0) {
            match symbol.id {
                Some(id) => ids.push(id),
                None => {
                    let text = &bytes[symbol.start..symbol.start + symbol.len];
                    self.fallback.each(text, |id, _| ids.push(id));
                }
            }
        }
    }
}

/// A number that falls as the score rises, in the total order of floats.
fn descending(score: f32) -> u32 {
    let bits = score.to_bits();
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    !ascending
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vocabulary(tokens: &[String]) -> Vocabulary {
        Vocabulary::new(tokens.iter().map(|token| Some(token.as_bytes())))
    }

    fn encode(model: &Bpe, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        model.encode(text, &mut ids);
        ids
    }

    /// The rule taken literally.
    fn merged(mut parts: Vec<String>, rank: impl Fn(&str, &str) -> Option<u32>) -> Vec<String> {
        loop {
            let pairs = (1..parts.len())
                .filter_map(|right| Some((rank(&parts[right - 1], &parts[right])?, right)));
            let Some((_, right)) = pairs.min() else { return parts };
            let second = parts.remove(right);
            parts[right - 1].push_str(&second);
        }
    }

    fn letters(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    proptest! {
        #[test]
        fn scores_by_the_rule(
            pieces in prop::collection::hash_set("[abc]{2,4}", 0..12),
            text in "[abc]{0,24}",
            seed in prop::collection::vec(-8i8..8, 16),
        ) {
            let mut tokens: Vec<String> = letters("abc");
            tokens.extend(pieces);
            let scores: Vec<f32> = (0..tokens.len()).map(|id| f32::from(seed[id])).collect();
            let vocabulary = vocabulary(&tokens);
            let model = Bpe::scored(vocabulary, &scores, Fallback::default());
            let id = |text: &str| tokens.iter().position(|token| token == text);
            let expected = merged(letters(&text), |left, right| {
                id(&format!("{left}{right}")).map(|id| descending(scores[id]))
            });
            let expected: Vec<u32> =
                expected.iter().filter_map(|part| id(part)).map(|id| id as u32).collect();
            prop_assert_eq!(encode(&model, &text), expected);
        }

        #[test]
        fn merges_by_the_rule(
            merges in prop::collection::vec(("[ab]{1,3}", "[ab]{1,3}"), 0..10),
            text in "[ab]{0,24}",
        ) {
            let mut tokens: Vec<String> = letters("ab");
            tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
            let vocabulary = vocabulary(&tokens);
            let lines: Vec<String> =
                merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
            let lines = lines.iter().map(|line| line.as_bytes());
            let model = Bpe::listed(vocabulary, lines, Fallback::default(), false).expect("merges");
            let expected = merged(letters(&text), |left, right| {
                merges.iter().rposition(|(l, r)| (&**l, &**r) == (left, right)).map(|i| i as u32)
            });
            let expected: Vec<u32> = expected
                .iter()
                .filter_map(|part| tokens.iter().rposition(|token| token == part))
                .map(|id| id as u32)
                .collect();
            prop_assert_eq!(encode(&model, &text), expected);
        }
    }

    #[test]
    fn a_merge_without_two_halves() {
        let vocabulary = vocabulary(&letters("ab"));
        let merges: [&[u8]; 2] = [b"a b", b"ab"];
        let result = Bpe::listed(vocabulary, merges.into_iter(), Fallback::default(), false);
        assert_eq!(result.err(), Some(BrokenMerge(1)));
    }

    #[test]
    fn scores_fall_as_ranks_rise() {
        let scores = [f32::INFINITY, 2.5, 0.0, -0.0, -1.0, f32::MIN, f32::NEG_INFINITY];
        assert!(scores.windows(2).all(|pair| descending(pair[0]) < descending(pair[1])));
    }
}
