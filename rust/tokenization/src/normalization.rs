//! What SentencePiece does to a text before it cuts it.

use crate::Charsmap;

const SPACE: &str = "\u{2581}";

/// The steps, in this order; then spaces are written as U+2581.
#[derive(Default)]
pub struct Normalization {
    /// Characters are replaced.
    pub charsmap: Option<Charsmap>,
    /// Spaces at both ends are dropped and runs of them become one.
    pub merge_spaces: bool,
    /// A text that is not empty gets a space before it.
    pub space_prefix: bool,
}

impl Normalization {
    /// The text that the tokens are found in.
    pub fn apply(&self, text: &str) -> String {
        let replaced = self.charsmap.as_ref().map(|map| map.replace(text));
        let mut text = replaced.unwrap_or_else(|| text.to_owned());
        if self.merge_spaces {
            let words = text.split(' ').filter(|word| !word.is_empty());
            text = words.collect::<Vec<_>>().join(" ");
        }
        if self.space_prefix && !text.is_empty() {
            text.insert(0, ' ');
        }
        text.replace(' ', SPACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces() {
        let both = Normalization { charsmap: None, merge_spaces: true, space_prefix: true };
        assert_eq!(both.apply("  a \n  b "), "▁a▁\n▁b");
        assert_eq!(both.apply("  "), "");
        let prefix = Normalization { merge_spaces: false, ..both };
        assert_eq!(prefix.apply(" a "), "▁▁a▁");
        assert_eq!(Normalization::default().apply(" a"), "▁a");
    }
}
