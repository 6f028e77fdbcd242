//! What stands for a character that has no token.

/// Byte tokens if there are any, else the unknown token, else nothing.
#[derive(Clone, Default)]
pub struct Fallback {
    /// The ids of the tokens for the bytes 0 to 255.
    pub bytes: Option<Box<[u32; 256]>>,
    /// The id of the unknown token.
    pub unknown: Option<u32>,
}

impl Fallback {
    /// Calls `emit` with every id and the number of bytes that it stands for.
    pub(crate) fn each(&self, character: &[u8], mut emit: impl FnMut(u32, usize)) {
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
