//! The most probable cut of a piece into tokens (Kudo 2018, "Subword Regularization"), found as by
//! Viterbi; the scores are logarithms of probabilities.

use crate::{Fallback, Model, Normalization, Vocabulary};

/// The tokens with their scores.
pub struct Unigram {
    vocabulary: Vocabulary,
    scores: Vec<f64>,
    unknown_score: f64,
    fallback: Fallback,
    normalization: Normalization,
}

impl Unigram {
    /// One score per id, and that of a character without a token. `fallback` stands for a run of
    /// such characters: once, or byte by byte.
    pub fn new(
        vocabulary: Vocabulary,
        scores: Vec<f64>,
        unknown_score: f64,
        fallback: Fallback,
        normalization: Normalization,
    ) -> Unigram {
        Unigram { vocabulary, scores, unknown_score, fallback, normalization }
    }
}

/// The best way to a place in the piece: where its last token starts, and which it is.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    start: usize,
    token: Option<u32>,
}

impl Model for Unigram {
    fn encode(&self, piece: &str, ids: &mut Vec<u32>) {
        let piece = self.normalization.apply(piece);
        let bytes = piece.as_bytes();
        let nowhere = Step { score: f64::NEG_INFINITY, start: 0, token: None };
        let mut best = vec![nowhere; bytes.len() + 1];
        best[0].score = 0.0;
        let places: Vec<usize> = (0..=bytes.len()).filter(|&i| piece.is_char_boundary(i)).collect();
        for (index, pair) in places.windows(2).enumerate() {
            let (start, character_end) = (pair[0], pair[1]);
            let so_far = best[start].score;
            let mut reach = |end: usize, score: f64, token: Option<u32>| {
                if score > best[end].score {
                    best[end] = Step { score, start, token };
                }
            };
            let mut alone = false;
            for &end in &places[index + 1..] {
                if end - start > self.vocabulary.longest() {
                    break;
                }
                if let Some(id) = self.vocabulary.id(&bytes[start..end]) {
                    let score = self.scores.get(id as usize).copied().unwrap_or_default();
                    reach(end, so_far + score, Some(id));
                    alone |= end == character_end;
                }
            }
            if !alone {
                reach(character_end, so_far + self.unknown_score, None);
            }
        }
        let mut steps = Vec::new();
        let mut end = bytes.len();
        while end > 0 {
            let Step { mut start, token, .. } = best[end];
            if token.is_none() {
                while start > 0 && best[start].token.is_none() {
                    start = best[start].start;
                }
            }
            steps.push((start, end, token));
            end = start;
        }
        for (start, end, token) in steps.into_iter().rev() {
            match token {
                Some(id) => ids.push(id),
                None => self.fallback.each(&bytes[start..end], |id, _| ids.push(id)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(tokens: &[(&str, f64)], text: &str) -> Vec<u32> {
        let vocabulary = Vocabulary::new(tokens.iter().map(|(text, _)| Some(text.as_bytes())));
        let fallback = Fallback { bytes: None, unknown: Some(99) };
        let scores = tokens.iter().map(|&(_, score)| score).collect();
        let mut ids = Vec::new();
        let normalization = Normalization::default();
        Unigram::new(vocabulary, scores, -14.0, fallback, normalization).encode(text, &mut ids);
        ids
    }

    #[test]
    fn the_best_sum_wins() {
        let tokens = [("a", -1.0), ("b", -1.0), ("ab", -1.5), ("aba", -4.0)];
        assert_eq!(encode(&tokens, "aba"), [2, 0]);
        assert_eq!(encode(&[tokens[0], tokens[1], tokens[2], ("aba", -2.0)], "aba"), [3]);
    }

    #[test]
    fn a_run_of_unknown_characters_is_one_token() {
        assert_eq!(encode(&[("a", -1.0)], "xéya天a"), [99, 0, 99, 0]);
    }
}
