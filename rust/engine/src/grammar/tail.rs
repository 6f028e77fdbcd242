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
