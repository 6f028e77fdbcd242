//! What tokens mean: the bytes of text that a token's spelling in the file stands for.

use std::borrow::Cow;

/// How a vocabulary writes the bytes of ordinary tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As they are.
    Plain,
    /// One printable character for each byte (GPT-2's table).
    ByteLevel,
    /// As they are, with this text for a space; `<0xXX>` is a byte.
    Pieces(String),
}

impl Spelling {
    /// The bytes of a token. `whole` says that the file writes it in plain text: it was added to the
    /// vocabulary later.
    pub fn bytes<'a>(&self, text: &'a [u8], whole: bool) -> Cow<'a, [u8]> {
        match self {
            Spelling::Plain => Cow::Borrowed(text),
            Spelling::ByteLevel if whole => Cow::Borrowed(text),
            Spelling::ByteLevel => byte_level(text).map_or(Cow::Borrowed(text), Cow::Owned),
            Spelling::Pieces(space) => match byte_token(text).filter(|_| !whole) {
                Some(byte) => Cow::Owned(vec![byte]),
                None => replaced(text, space.as_bytes()),
            },
        }
    }
}

/// The bytes that the characters stand for; `None` where one stands for none.
fn byte_level(text: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(text).ok()?.chars().map(byte_of).collect()
}

/// Printable Latin-1 stands for itself, the other bytes for U+0100 and on.
fn byte_of(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

fn byte_token(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let exact = digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
    exact.then(|| std::str::from_utf8(digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok()))?
}

fn replaced<'a>(text: &'a [u8], space: &[u8]) -> Cow<'a, [u8]> {
    let starts_here = |rest: &[u8]| !space.is_empty() && rest.starts_with(space);
    if !(0..text.len()).any(|place| starts_here(&text[place..])) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, others @ ..] = rest {
        if starts_here(rest) {
            bytes.push(b' ');
            rest = &rest[space.len()..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let characters: Vec<char> = (0..0x200).filter_map(char::from_u32).collect();
        let mut bytes: Vec<u8> = characters.iter().filter_map(|&c| byte_of(c)).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<_>>());
        let bytes =
            |text: &str, whole| Spelling::ByteLevel.bytes(text.as_bytes(), whole).into_owned();
        assert_eq!(bytes("ĠtheĊ", false), b" the\n");
        assert_eq!(bytes("Ã©", false), "é".as_bytes());
        assert_eq!(bytes("Ġthe", true), "Ġthe".as_bytes());
        assert_eq!(bytes("東", false), "東".as_bytes());
    }

    #[test]
    fn pieces_have_a_sign_for_the_space_and_names_for_bytes() {
        let spelling = Spelling::Pieces("\u{2581}".into());
        let bytes = |text: &str, whole| spelling.bytes(text.as_bytes(), whole).into_owned();
        assert_eq!(bytes("\u{2581}a\u{2581}\u{2581}b", false), b" a  b");
        assert_eq!(bytes("<0x0A>", false), b"\n");
        assert_eq!(bytes("<0x0A>", true), b"<0x0A>");
        assert_eq!(bytes("<0x0g>", false), b"<0x0g>");
        assert_eq!(bytes("<0x0AB>", false), b"<0x0AB>");
        assert_eq!(Spelling::Plain.bytes(b"\x80 ", false).into_owned(), b"\x80 ");
    }
}
