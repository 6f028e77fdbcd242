//! A file: a page or a state with the text that it is of. All numbers are little-endian.
//!
//! ```text
//! "FTHPREFX"  version u32  kind u32  identity u128  tokens u64  bytes u64  checksum u128
//! the tokens, u32 each, from the beginning of the text; the bytes
//! ```
//!
//! The checksum, XXH3 of 128 bits, is over all the rest. A reader knows what a file must say, so the content
//! alone is new to it.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::Xxh3;

/// Changes with the layout of files.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"FTHPREFX";
/// Bytes before the tokens.
const HEADER: usize = 64;
/// Where the checksum is in it.
const CHECKSUM: usize = 48;

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A full page: its last positions are those of the last tokens.
    Page,
    /// The state after the tokens.
    State,
}

impl Kind {
    /// The end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Kind::Page => "page",
            Kind::State => "state",
        }
    }
}

/// What a file must say of itself.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub identity: u128,
    pub kind: Kind,
    /// All tokens from the beginning of the text.
    pub tokens: &'a [u32],
    /// Bytes of content.
    pub n_bytes: usize,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("it is of another model, version or text")]
    Other,
    #[error("it has {0} bytes instead of {1}")]
    Length(u64, u64),
    #[error("its checksum is wrong")]
    Checksum,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl About<'_> {
    /// Bytes of the whole file.
    pub fn file_len(&self) -> u64 {
        (HEADER + 4 * self.tokens.len() + self.n_bytes) as u64
    }

    /// The header with a checksum of 0.
    fn header(&self) -> [u8; HEADER] {
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&(self.kind as u32).to_le_bytes());
        header.extend_from_slice(&self.identity.to_le_bytes());
        header.extend_from_slice(&(self.tokens.len() as u64).to_le_bytes());
        header.extend_from_slice(&(self.n_bytes as u64).to_le_bytes());
        let mut whole = [0; HEADER];
        whole[..CHECKSUM].copy_from_slice(&header);
        whole
    }

    fn text(&self) -> Vec<u8> {
        self.tokens.iter().flat_map(|token| token.to_le_bytes()).collect()
    }
}

fn checksum(header: &[u8], text: &[u8], content: &[u8]) -> [u8; 16] {
    let mut hash = Xxh3::new();
    for part in [header, text, content] {
        hash.update(part);
    }
    hash.digest128().to_le_bytes()
}

/// Writes a file.
pub(super) fn encode(file: &mut impl Write, about: About, content: &[u8]) -> io::Result<()> {
    let (mut header, text) = (about.header(), about.text());
    let sum = checksum(&header[..CHECKSUM], &text, content);
    header[CHECKSUM..].copy_from_slice(&sum);
    file.write_all(&header)?;
    file.write_all(&text)?;
    file.write_all(content)
}

/// Reads a file's content; `len` is how long the file is.
pub(super) fn decode(file: &mut impl Read, len: u64, about: About) -> Result<Vec<u8>, Problem> {
    let mut header = [0; HEADER];
    if len < HEADER as u64 {
        return Err(Problem::Length(len, about.file_len()));
    }
    file.read_exact(&mut header)?;
    let (expected, text) = (about.header(), about.text());
    if header[..CHECKSUM] != expected[..CHECKSUM] {
        return Err(Problem::Other);
    }
    if len != about.file_len() {
        return Err(Problem::Length(len, about.file_len()));
    }
    let mut read = vec![0; text.len()];
    file.read_exact(&mut read)?;
    if read != text {
        return Err(Problem::Other);
    }
    let mut content = vec![0; about.n_bytes];
    file.read_exact(&mut content)?;
    if header[CHECKSUM..] != checksum(&header[..CHECKSUM], &text, &content) {
        return Err(Problem::Checksum);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKENS: [u32; 5] = [1, 2, 3, 4, 70_000];

    fn about(n_bytes: usize) -> About<'static> {
        About { identity: 7 << 100, kind: Kind::Page, tokens: &TOKENS, n_bytes }
    }

    fn read(file: &[u8], about: About) -> Result<Vec<u8>, Problem> {
        decode(&mut &file[..], file.len() as u64, about)
    }

    #[test]
    fn what_was_written_is_read() {
        let mut file = Vec::new();
        encode(&mut file, about(9), b"some page").expect("memory");
        assert_eq!(file.len() as u64, about(9).file_len());
        assert_eq!(read(&file, about(9)).expect("good"), b"some page");
        for other in [
            About { identity: 8, ..about(9) },
            About { kind: Kind::State, ..about(9) },
            About { tokens: &TOKENS[..4], ..about(9) },
            About { tokens: &[1, 2, 3, 4, 5], ..about(9) },
            about(8),
        ] {
            assert!(matches!(read(&file, other), Err(Problem::Other)));
        }
    }

    proptest! {
        #[test]
        fn a_changed_file_is_refused(
            content in prop::collection::vec(any::<u8>(), 0..200),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..4),
            cut in prop::option::of(any::<prop::sample::Index>()),
            more in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let mut file = Vec::new();
            let about = about(content.len());
            encode(&mut file, about, &content).expect("memory");
            let good = file.clone();
            for (place, change) in changes {
                let place = place.index(file.len());
                file[place] ^= change;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()));
            }
            file.extend(more);
            match read(&file, about) {
                Ok(read) => prop_assert!(file == good && read == content),
                Err(_) => prop_assert!(file != good),
            }
        }

        #[test]
        fn any_bytes_are_refused(file in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&file, about(20)).is_err());
        }
    }
}
