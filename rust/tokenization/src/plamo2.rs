//! PLaMo 2's cut of a piece: the best sum of scores, found from the end.
//!
//! Scores are rounded to 1/10000; a character as bytes costs 1000, so that it is taken only where
//! no token fits. Of equal sums the longer first token wins.

use crate::{Fallback, Model, Vocabulary};

const SCALE: f64 = 1e4;
const UNKNOWN: i64 = -10_000_000;

/// The tokens with their scores.
pub struct Plamo2 {
    vocabulary: Vocabulary,
    scores: Vec<i64>,
    bytes: Fallback,
}

impl Plamo2 {
    /// One score per id. `vocabulary` is without the byte tokens, which `bytes` has.
    pub fn new(vocabulary: Vocabulary, scores: &[f32], bytes: Fallback) -> Plamo2 {
        let scores = scores.iter().map(|&score| (f64::from(score) * SCALE).round() as i64);
        Plamo2 { vocabulary, scores: scores.collect(), bytes }
    }
}

/// The best way from a place to the end: where its first token ends, and which it is.
#[derive(Clone, Copy)]
struct Step {
    score: i64,
    end: usize,
    token: Option<u32>,
}

impl Model for Plamo2 {
    fn encode(&self, piece: &str, ids: &mut Vec<u32>) {
        let piece = piece.strip_prefix('\u{feff}').unwrap_or(piece);
        let bytes = piece.as_bytes();
        let mut best = vec![Step { score: 0, end: 0, token: None }; bytes.len() + 1];
        let places: Vec<usize> = (0..=bytes.len()).filter(|&i| piece.is_char_boundary(i)).collect();
        for (index, pair) in places.windows(2).enumerate().rev() {
            let (start, character_end) = (pair[0], pair[1]);
            let score = best[character_end].score + UNKNOWN;
            let mut step = Step { score, end: character_end, token: None };
            for &end in &places[index + 1..] {
                if end - start > self.vocabulary.longest() {
                    break;
                }
                if let Some(id) = self.vocabulary.id(&bytes[start..end]) {
                    let own = self.scores.get(id as usize).copied().unwrap_or_default();
                    let score = best[end].score + own;
                    if score >= step.score {
                        step = Step { score, end, token: Some(id) };
                    }
                }
            }
            best[start] = step;
        }
        let mut start = 0;
        while start < bytes.len() {
            let Step { end, token, .. } = best[start];
            match token {
                Some(id) => ids.push(id),
                None => self.bytes.each(&bytes[start..end], |id, _| ids.push(id)),
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_sum_wins_and_of_equals_the_longer_first_token() {
        let tokens: [&[u8]; 4] = [b"a", b"ab", b"b", b"ba"];
        let vocabulary = || Vocabulary::new(tokens.into_iter().map(Some));
        let encode = |scores: &[f32], text: &str| {
            let fallback = Fallback { bytes: None, unknown: Some(99) };
            let mut ids = Vec::new();
            Plamo2::new(vocabulary(), scores, fallback).encode(text, &mut ids);
            ids
        };
        assert_eq!(encode(&[-1.0; 4], "aba"), [1, 0]);
        assert_eq!(encode(&[-1.0, -1.5, -1.0, -1.0], "aba"), [0, 3]);
        assert_eq!(encode(&[-1.0; 4], "\u{feff}éa"), [99, 0]);
    }
}
