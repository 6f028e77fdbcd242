//! Greedy: at every place the longest token that matches there (RWKV).

use crate::{Model, Vocabulary};

/// The tokens, as bytes: a match may end within a character.
pub struct Longest {
    vocabulary: Vocabulary,
    unknown: Option<u32>,
}

impl Longest {
    /// `unknown` stands for a byte where no token begins; without it the byte is left out.
    pub fn new(vocabulary: Vocabulary, unknown: Option<u32>) -> Longest {
        Longest { vocabulary, unknown }
    }
}

impl Model for Longest {
    fn encode(&self, piece: &str, ids: &mut Vec<u32>) {
        let mut rest = piece.as_bytes();
        while !rest.is_empty() {
            let longest = self.vocabulary.longest().min(rest.len());
            let found = (1..=longest)
                .rev()
                .find_map(|len| self.vocabulary.id(&rest[..len]).map(|id| (len, id)));
            let len = found.map_or(1, |(len, _)| len);
            ids.extend(found.map(|(_, id)| id).or(self.unknown));
            rest = &rest[len..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_wins_even_within_a_character() {
        let tokens: [&[u8]; 4] = [b"", b"ab", b"abc\xc3", b"\xa9"];
        let vocabulary = Vocabulary::new(tokens.into_iter().map(Some));
        let mut ids = Vec::new();
        Longest::new(vocabulary, Some(0)).encode("abcéabx", &mut ids);
        assert_eq!(ids, [2, 3, 1, 0]);
    }
}
