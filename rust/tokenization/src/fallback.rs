//! What stands for a character that has no token.

use crate::Vocabulary;

/// Byte tokens if there are any, else the unknown token, else nothing.
pub struct Fallback {
    bytes: Option<Box<[u32; 256]>>,
    unknown: Option<u32>,
}

impl Fallback {
    /// Looks `<0x00>` to `<0xFF>` up if `bytes` asks for them; they count only if all are there.
    pub fn new(vocabulary: &Vocabulary, bytes: bool, unknown: Option<u32>) -> Fallback {
        let ids: Option<Vec<u32>> = bytes
            .then(|| (0..=255u8).map(|byte| vocabulary.id(format!("<0x{byte:02X}>").as_bytes())))
            .and_then(Iterator::collect);
        let bytes = ids.and_then(|ids| ids.into_boxed_slice().try_into().ok());
        Fallback { bytes, unknown }
    }

    /// Calls `emit` with every id and the number of bytes that it stands for.
    pub fn each(&self, character: &[u8], mut emit: impl FnMut(u32, usize)) {
        match (&self.bytes, self.unknown) {
            (Some(ids), _) => {
                for &byte in character {
                    emit(ids[usize::from(byte)], 1);
                }
            }
            (None, Some(unknown)) => emit(unknown, character.len()),
            (None, None) => {}
        }
    }
}
