//! Shared, immutable bytes: a range of a mapped file or of an owned buffer.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::str::Utf8Error;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};

enum Owner {
    File(Mmap),
    Memory(Mmap),
    Buffer(Vec<u8>),
}

/// Immutable bytes that keep what they lie in (a file's mapping, a buffer) alive.
///
/// Cloning and slicing copy nothing. Bytes of a mapped file change, or their access kills the
/// process (SIGBUS), if another program overwrites or shortens the file while it is open: the file
/// was checked when it was opened, and no later check can be free of a race.
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<Owner>,
    range: Range<usize>,
}

impl Bytes {
    /// Maps a whole file read-only.
    pub(crate) fn map(file: &File) -> io::Result<Bytes> {
        // SAFETY: the map is private to this value and read-only, and files are written elsewhere
        // in this crate under another name first, never in place. That no other program changes
        // the file is the documented condition of opening one.
        let map = unsafe { Mmap::map(file)? };
        Ok(Bytes::owned(Owner::File(map)))
    }

    /// Copies `data` to memory that is aligned as a mapped file is.
    pub(crate) fn aligned(data: &[u8]) -> io::Result<Bytes> {
        let mut map = MmapMut::map_anon(data.len())?;
        map.copy_from_slice(data);
        Ok(Bytes::owned(Owner::Memory(map.make_read_only()?)))
    }

    /// Writes `len` bytes to memory of their own, in large pages where the system has them.
    ///
    /// # Errors
    /// The system refuses the memory.
    pub fn build(len: usize, write: impl FnOnce(&mut [u8])) -> io::Result<Bytes> {
        let mut map = MmapMut::map_anon(len)?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        write(&mut map);
        Ok(Bytes::owned(Owner::Memory(map.make_read_only()?)))
    }

    /// Gives back the memory of a range of a mapped file: it is read again when it is next used.
    pub fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Owner::File(map) = &*self.owner
            && self.slice(range.clone()).is_some()
        {
            let start = self.range.start + range.start;
            // SAFETY: the map is of a file and never written: what is dropped is read again.
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, range.len())
            };
        }
    }

    fn owned(owner: Owner) -> Bytes {
        let len = match &owner {
            Owner::File(map) | Owner::Memory(map) => map.len(),
            Owner::Buffer(buffer) => buffer.len(),
        };
        Bytes { owner: Arc::new(owner), range: 0..len }
    }

    /// The bytes at `range`, counted from the start of these; `None` if it reaches past their end.
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.range.len() {
            return None;
        }
        let start = self.range.start;
        let range = start + range.start..start + range.end;
        Some(Bytes { owner: Arc::clone(&self.owner), range })
    }

    /// Tells the system that these bytes of a mapped file are needed soon.
    pub(crate) fn will_need(&self) {
        #[cfg(unix)]
        self.advise(memmap2::Advice::WillNeed);
    }

    /// Reads these bytes of a mapped file and enters their pages into the process's tables, where the
    /// system can (Linux 5.14).
    pub(crate) fn populate(&self) {
        #[cfg(target_os = "linux")]
        self.advise(memmap2::Advice::PopulateRead);
    }

    #[cfg(unix)]
    fn advise(&self, advice: memmap2::Advice) {
        if let Owner::File(map) = &*self.owner {
            // Advice that is not taken changes nothing but the time that the first access takes.
            let _ = map.advise_range(advice, self.range.start, self.range.len());
        }
    }

    /// Where these bytes begin in the file or buffer that they lie in.
    pub fn offset(&self) -> usize {
        self.range.start
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let whole: &[u8] = match &*self.owner {
            Owner::File(map) | Owner::Memory(map) => map,
            Owner::Buffer(buffer) => buffer,
        };
        &whole[self.range.clone()]
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(buffer: Vec<u8>) -> Bytes {
        Bytes::owned(Owner::Buffer(buffer))
    }
}

impl Default for Bytes {
    fn default() -> Bytes {
        Vec::new().into()
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} at {})", self.len(), self.offset())
    }
}

/// A string of a file: UTF-8 by the specification, any bytes in a hostile file.
#[derive(Clone, PartialEq, Eq)]
pub struct Str(Bytes);

impl Str {
    pub(crate) fn new(bytes: Bytes) -> Str {
        Str(bytes)
    }

    /// The bytes as they are in the file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, or where it stops being UTF-8.
    pub fn as_str(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.0)
    }

    /// The text, with U+FFFD in place of what is not UTF-8.
    pub fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Str {
        Str(bytes.into())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Str {
        text.into_bytes().into()
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        text.as_bytes().to_vec().into()
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string_lossy(), f)
    }
}
