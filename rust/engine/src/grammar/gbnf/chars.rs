//! Sets of characters.

use std::fmt::Write;

/// The last character that there is.
const LAST: u32 = char::MAX as u32;
/// Numbers that are no characters.
const SURROGATES: (u32, u32) = (0xd800, 0xdfff);

/// Ranges that rise and do not touch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chars(Vec<(u32, u32)>);

impl Chars {
    pub fn any() -> Chars {
        Chars::default().others()
    }

    pub fn of(ranges: impl IntoIterator<Item = (char, char)>) -> Chars {
        let ranges = ranges.into_iter().map(|(first, last)| (first as u32, last as u32));
        let mut chars = Chars(ranges.collect());
        chars.tidy();
        chars
    }

    /// All that are not in it.
    pub fn others(&self) -> Chars {
        let mut others = Vec::new();
        let mut next = 0;
        for &(first, last) in &self.0 {
            if first > next {
                others.push((next, first - 1));
            }
            next = last + 1;
        }
        if next <= LAST {
            others.push((next, LAST));
        }
        Chars(others)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds others; true if that changed anything.
    pub fn add(&mut self, others: &Chars) -> bool {
        if others.0.iter().all(|range| self.contains(*range)) {
            return false;
        }
        self.0.extend_from_slice(&others.0);
        self.tidy();
        true
    }

    pub fn overlaps(&self, others: &Chars) -> bool {
        self.0.iter().any(|a| others.0.iter().any(|b| a.0 <= b.1 && b.0 <= a.1))
    }

    fn contains(&self, (first, last): (u32, u32)) -> bool {
        self.0.iter().any(|range| range.0 <= first && last <= range.1)
    }

    fn tidy(&mut self) {
        self.0.sort_unstable();
        let mut tidy: Vec<(u32, u32)> = Vec::with_capacity(self.0.len());
        for &(first, last) in &self.0 {
            match tidy.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => tidy.push((first, last)),
            }
        }
        self.0 = tidy;
    }

    /// A regular expression, between slashes.
    pub fn regex(&self) -> String {
        let mut regex = String::from("/[");
        for &(first, last) in &self.0 {
            // Surrogates can only be the middle of a range.
            for (first, last) in
                [(first, last.min(SURROGATES.0 - 1)), (first.max(SURROGATES.1 + 1), last)]
            {
                if first <= last {
                    // Writing to a string does not fail.
                    let _ = write!(regex, "\\x{{{first:x}}}-\\x{{{last:x}}}");
                }
            }
        }
        regex + "]/"
    }
}
