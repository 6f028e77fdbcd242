//! Tokens by their text.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// The way from a text to its id. Of equal texts the last id counts.
pub struct Vocabulary {
    /// All texts, one after the other.
    texts: Vec<u8>,
    /// Where the text of each id ends; it begins where the one before it ends.
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    longest: usize,
}

impl Vocabulary {
    /// Takes the texts in the order of their ids; `None` for a token that text never turns into.
    pub fn new<'a>(tokens: impl ExactSizeIterator<Item = Option<&'a [u8]>>) -> Vocabulary {
        let mut vocabulary = Vocabulary {
            texts: Vec::new(),
            ends: Vec::with_capacity(tokens.len()),
            table: HashTable::with_capacity(tokens.len()),
            hasher: DefaultHashBuilder::default(),
            longest: 0,
        };
        for (token, id) in tokens.zip(0..) {
            if let Some(text) = token {
                vocabulary.insert(text, id);
            } else {
                vocabulary.ends.push(vocabulary.texts.len());
            }
        }
        vocabulary
    }

    /// The id of a text.
    pub fn id(&self, text: &[u8]) -> Option<u32> {
        self.table.find(self.hasher.hash_one(text), |&id| self.text(id) == text).copied()
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of the longest text.
    pub fn longest(&self) -> usize {
        self.longest
    }

    fn text(&self, id: u32) -> &[u8] {
        text(&self.texts, &self.ends, id)
    }

    fn insert(&mut self, new: &[u8], id: u32) {
        self.texts.extend_from_slice(new);
        self.ends.push(self.texts.len());
        self.longest = self.longest.max(new.len());
        let (texts, ends, hasher) = (&self.texts, &self.ends, &self.hasher);
        let hash = hasher.hash_one(new);
        match self.table.find_mut(hash, |&id| text(texts, ends, id) == new) {
            Some(known) => *known = id,
            None => {
                self.table.insert_unique(hash, id, |&id| hasher.hash_one(text(texts, ends, id)));
            }
        }
    }
}

fn text<'a>(texts: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &texts[start..ends[id]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_texts_counts() {
        let tokens: [Option<&[u8]>; 5] = [Some(b"a"), Some(b"bc"), None, Some(b"a"), Some(b"")];
        let vocabulary = Vocabulary::new(tokens.into_iter());
        assert_eq!(vocabulary.id(b"a"), Some(3));
        assert_eq!(vocabulary.id(b"bc"), Some(1));
        assert_eq!(vocabulary.id(b""), Some(4));
        assert_eq!(vocabulary.id(b"b"), None);
        assert_eq!((vocabulary.len(), vocabulary.longest()), (5, 2));
    }
}
