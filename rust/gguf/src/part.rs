//! One file on disk: header, metadata, tensor table, data.

use std::fs::{self, File};
use std::path::Path;

use crate::bytes::Bytes;
use crate::error::{Checked, Error, Problem, Result};
use crate::metadata::{self, Metadata};
use crate::reader::{Reader, excerpt};
use crate::tensor::{self, Tensor};

pub(crate) const MAGIC: [u8; 4] = *b"GGUF";
pub(crate) const ALIGNMENT_KEY: &str = "general.alignment";
pub(crate) const DEFAULT_ALIGNMENT: u32 = 32;

/// The specification wants a multiple of 8, ggml a power of two; with both, a tensor of any type
/// can be read in place.
const MIN_ALIGNMENT: u32 = 8;

/// A checked file.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) version: u32,
    pub(crate) alignment: u64,
    pub(crate) metadata: Metadata,
    pub(crate) tensors: Vec<Tensor>,
}

impl Part {
    pub(crate) fn open(path: &Path) -> Result<Part> {
        let bytes = map(path).map_err(Error::at(path))?;
        Part::parse(path, &bytes)
    }

    pub(crate) fn parse(file: &Path, bytes: &Bytes) -> Result<Part> {
        let at = Error::at(file);
        let mut reader = Reader::new(bytes);
        let version = read_version(&mut reader).map_err(at)?;
        let tensor_count = reader.u64().map_err(at)?;
        let entry_count = reader.u64().map_err(at)?;
        let entries = metadata::read_entries(&mut reader, entry_count).map_err(at)?;
        let metadata = Metadata::new(file, entries).map_err(at)?;
        let alignment = metadata.opt_u32(ALIGNMENT_KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
        let alignment = check_alignment(alignment).map_err(at)?;
        let table = tensor::read_table(&mut reader, tensor_count, alignment).map_err(at)?;
        let data = tensor_data(bytes, reader.position(), alignment);
        let tensors = tensor::place(table, &data).map_err(at)?;
        Ok(Part { version, alignment, metadata, tensors })
    }
}

fn map(path: &Path) -> Checked<Bytes> {
    // Opening a pipe would wait for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    if isize::try_from(len).is_err() {
        return Err(Problem::FileTooLarge { len });
    }
    Ok(Bytes::map(&file)?)
}

fn read_version(reader: &mut Reader<'_>) -> Checked<u32> {
    let magic = reader.take(MAGIC.len() as u64)?;
    if magic != MAGIC {
        return Err(Problem::NotGguf { found: excerpt(magic) });
    }
    let found = reader.u32()?;
    match (found, found.swap_bytes()) {
        (2 | 3, _) => Ok(found),
        // Versions are small numbers: only in the wrong byte order is just the last byte used.
        (_, swapped @ 1..=0xff) => Err(Problem::BigEndian { found, swapped }),
        _ => Err(Problem::Version { found }),
    }
}

pub(crate) fn check_alignment(found: u32) -> Checked<u64> {
    if found.is_power_of_two() && found >= MIN_ALIGNMENT {
        Ok(found.into())
    } else {
        Err(Problem::Alignment { found, min: MIN_ALIGNMENT })
    }
}

/// Everything after the header, from the next multiple of the alignment on. Nothing, if the file
/// ends before it, as files without tensors do.
fn tensor_data(bytes: &Bytes, header: usize, alignment: u64) -> Bytes {
    let start = (header as u64).checked_next_multiple_of(alignment);
    start
        .and_then(|start| bytes.slice(usize::try_from(start).ok()?..bytes.len()))
        .unwrap_or_default()
}
