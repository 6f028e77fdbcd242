//! SentencePiece's compiled table of replacements.
//!
//! Layout, little-endian: the size in bytes of a double array (u32), the array (u32 each), then the
//! replacements, each ended by a zero byte. A unit of the array is that of Darts-clone: bits 0 to 7 the
//! label, bit 8 whether a word ends here, bits 10 to 30 the offset (times 256 with bit 9); the unit of
//! a word's end has in bits 0 to 30 where its replacement begins.

/// What prefixes of a text are replaced by.
pub struct Charsmap {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

impl Charsmap {
    /// `None` if the sizes contradict each other.
    pub fn new(bytes: &[u8]) -> Option<Charsmap> {
        let (size, rest) = bytes.split_first_chunk()?;
        let (units, replacements) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let (units, odd) = units.as_chunks();
        odd.is_empty().then(|| Charsmap {
            units: units.iter().map(|&unit| u32::from_le_bytes(unit)).collect(),
            replacements: replacements.to_vec(),
        })
    }

    /// The text with the longest match at every place replaced.
    pub fn replace(&self, text: &str) -> String {
        let mut replaced = Vec::with_capacity(text.len());
        let mut start = 0;
        while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
            let character = rest.chars().next().map_or(1, char::len_utf8);
            match self.longest(rest.as_bytes()) {
                // A match that ends within a character is none: only a broken table has one.
                Some((len, replacement)) if rest.is_char_boundary(len) => {
                    replaced.extend_from_slice(replacement);
                    start += len;
                }
                _ => {
                    replaced.extend_from_slice(&rest.as_bytes()[..character]);
                    start += character;
                }
            }
        }
        String::from_utf8_lossy(&replaced).into_owned()
    }

    /// The length of the longest match at the start, at least 1, and its replacement.
    fn longest(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let mut found = None;
        let mut place = offset(*self.units.first()?);
        for (&byte, len) in text.iter().zip(1..) {
            place ^= usize::from(byte);
            let Some(&unit) = self.units.get(place) else { break };
            if byte == 0 || unit & (1 << 31 | 0xff) != u32::from(byte) {
                break;
            }
            place ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                found = self.units.get(place).map(|end| (len, end & !(1 << 31)));
            }
        }
        let (len, start) = found?;
        let replacement = self.replacements.get(start as usize..)?;
        let end = replacement.iter().position(|&byte| byte == 0)?;
        Some((len, &replacement[..end]))
    }
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_is_replaced() {
        // The word "a", whose replacement "bc" begins at 0: root, then the unit of "a", then its end.
        let mut units = [0u32; 256];
        units[0] = 1 << 10;
        units[1 ^ 0x61] = 0x61 | 1 << 8 | 2 << 10;
        units[1 ^ 0x61 ^ 2] = 1 << 31;
        let mut bytes = (4 * 256u32).to_le_bytes().to_vec();
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(b"bc\0");
        let map = Charsmap::new(&bytes).expect("charsmap");
        assert_eq!(map.replace("xaéa"), "xbcébc");
    }

    proptest! {
        #[test]
        fn any_bytes_are_harmless(
            size in 0u32..64,
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            text in ".{0,12}",
        ) {
            let bytes = [size.to_le_bytes().to_vec(), bytes].concat();
            if let Some(map) = Charsmap::new(&bytes) {
                map.replace(&text);
            }
        }
    }
}
