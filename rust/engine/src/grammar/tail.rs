//! The end of a free text, where markers are looked for.

use super::vocabulary::Vocabulary;

/// The last tokens: enough to find a marker that ends with the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    tokens: Vec<u32>,
    text: Vec<u8>,
    /// Where the text of each token begins.
    starts: Vec<usize>,
    /// Whether text that is not white space was dropped before.
    begun: bool,
}

/// A place in the text.
pub(super) struct Found {
    /// Where the marker begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl Tail {
    /// Adds a token; `longest` is the length of the longest marker.
    pub fn push(&mut self, id: u32, vocabulary: &Vocabulary, longest: usize) {
        let dropped = self.text.len().saturating_sub(longest);
        let n = self.starts.iter().skip(1).take_while(|&&start| start <= dropped).count();
        if n > 0 {
            let bytes = self.starts[n];
            self.begun |= !is_space(&self.text[..bytes]);
            self.text.drain(..bytes);
            self.tokens.drain(..n);
            self.starts.drain(..n);
            self.starts.iter_mut().for_each(|start| *start -= bytes);
        }
        self.starts.push(self.text.len());
        self.tokens.push(id);
        self.text.extend_from_slice(vocabulary.text(id));
    }

    /// Where a marker is; `first` as in [`super::Trigger`].
    pub fn find(&self, marker: &str, first: bool) -> Option<Found> {
        let marker = marker.as_bytes();
        let start = self.text.windows(marker.len().max(1)).position(|text| text == marker)?;
        let apart = !first || !self.begun && is_space(&self.text[..start]);
        apart.then_some(Found { start, end: start + marker.len() })
    }

    /// The tokens from a place in the text on; where a token is cut there, its bytes as tokens.
    pub fn tokens_from(&self, place: usize, vocabulary: &Vocabulary) -> Vec<u32> {
        let mut ids = Vec::new();
        for (nth, (&id, &start)) in self.tokens.iter().zip(&self.starts).enumerate() {
            let end = self.starts.get(nth + 1).copied().unwrap_or(self.text.len());
            if start >= place {
                ids.push(id);
            } else if end > place {
                ids.extend(self.text[place..end].iter().map(|&byte| vocabulary.byte(byte)));
            }
        }
        ids
    }

    /// The text from a place on.
    pub fn text_from(&self, place: usize) -> &[u8] {
        &self.text[place..]
    }
}

pub(super) fn is_space(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::TokenText;

    const TEXTS: [&str; 6] = ["ab", "c", " ", "<", "x>", "abc<x"];

    fn vocabulary() -> Vocabulary {
        let texts: Vec<_> = TEXTS.iter().map(|text| TokenText::Text(text.as_bytes())).collect();
        Vocabulary::new(texts.into_iter(), &[]).expect("a vocabulary")
    }

    fn tail(ids: &[u32], longest: usize) -> Tail {
        let mut tail = Tail::default();
        ids.iter().for_each(|&id| tail.push(id, &vocabulary(), longest));
        tail
    }

    #[test]
    fn a_marker_is_found_however_it_is_cut() {
        for ids in [&[3, 4][..], &[0, 1, 0, 1, 3, 4], &[2, 2, 2, 2, 3, 4]] {
            let found = tail(ids, 3).find("<x>", false).expect("it is there");
            assert_eq!(found.end - found.start, 3);
        }
        assert!(tail(&[3, 0, 4], 3).find("<x>", false).is_none());
    }

    #[test]
    fn only_what_a_marker_may_need_is_kept() {
        let long = tail(&[0; 1000], 4);
        assert!(long.text.len() <= 4 + 2 && long.tokens.len() == long.starts.len());
    }

    #[test]
    fn a_beginning_is_remembered_when_its_text_is_not() {
        let spaces = [2; 50];
        assert!(tail(&[&spaces[..], &[3, 4]].concat(), 3).find("<x>", true).is_some());
        assert!(tail(&[&[1], &spaces[..], &[3, 4]].concat(), 3).find("<x>", true).is_none());
    }

    #[test]
    fn what_follows_a_place_are_tokens_and_the_bytes_of_one_that_is_cut() {
        let vocabulary = vocabulary();
        let tail = tail(&[1, 5, 0], 20);
        // "c", "abc<x", "ab": from the "<" on.
        let bytes = [b'<', b'x'].map(|byte| vocabulary.byte(byte));
        assert_eq!(tail.tokens_from(4, &vocabulary), [bytes[0], bytes[1], 0]);
        assert_eq!(tail.text_from(4), b"<xab");
        assert_eq!(tail.tokens_from(1, &vocabulary), [5, 0]);
    }
}
