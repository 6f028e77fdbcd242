//! One file on disk: header, metadata, tensor table, data.

use std::fs::{self, File};
use std::path::Path;

use crate::bytes::Bytes;
use crate::error::{Error, Result};
use crate::metadata::Metadata;
use crate::reader::{Reader, excerpt};
use crate::tensor::{self, Tensor};

pub(crate) const MAGIC: [u8; 4] = *b"GGUF";
pub(crate) const ALIGNMENT_KEY: &str = "general.alignment";
pub(crate) const DEFAULT_ALIGNMENT: u32 = 32;

/// The specification wants a multiple of 8, ggml a power of two; with both, a tensor of any type
/// can be read in place.
const MIN_ALIGNMENT: u32 = 8;

pub(crate) struct Part {
    pub(crate) version: u32,
    pub(crate) alignment: u64,
    pub(crate) metadata: Metadata,
    pub(crate) tensors: Vec<Tensor>,
}

impl Part {
    pub(crate) fn open(path: &Path) -> Result<Part> {
        let io = |source| Error::Io {
            file: path.into(),
            source,
        };
        // Opening a pipe would wait for a writer.
        let info = fs::metadata(path).map_err(io)?;
        if !info.is_file() {
            return Err(Error::NotAFile { file: path.into() });
        }
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        if isize::try_from(len).is_err() {
            return Err(Error::FileTooLarge {
                file: path.into(),
                len,
            });
        }
        let bytes = Bytes::map(&file).map_err(io)?;
        Part::parse(path, &bytes)
    }

    pub(crate) fn parse(file: &Path, bytes: &Bytes) -> Result<Part> {
        let mut reader = Reader::new(file, bytes);
        let version = read_version(&mut reader)?;
        let tensor_count = reader.u64()?;
        let entry_count = reader.u64()?;
        let metadata = Metadata::read(&mut reader, entry_count)?;
        let alignment = metadata
            .opt_u32(ALIGNMENT_KEY)?
            .unwrap_or(DEFAULT_ALIGNMENT);
        let alignment = check_alignment(file, alignment)?;
        let table = tensor::read_table(&mut reader, tensor_count, alignment)?;
        let data = tensor_data(bytes, reader.position(), alignment);
        let tensors = tensor::place(file, table, &data)?;
        Ok(Part {
            version,
            alignment,
            metadata,
            tensors,
        })
    }
}

pub(crate) fn check_alignment(file: &Path, found: u32) -> Result<u64> {
    if found.is_power_of_two() && found >= MIN_ALIGNMENT {
        Ok(found.into())
    } else {
        Err(Error::Alignment {
            file: file.into(),
            found,
            min: MIN_ALIGNMENT,
        })
    }
}

/// Everything after the header, from the next multiple of the alignment on. Nothing, if the file
/// ends before it, as files without tensors do.
fn tensor_data(bytes: &Bytes, header: usize, alignment: u64) -> Bytes {
    let start = (header as u64).checked_next_multiple_of(alignment);
    let start = start.and_then(|start| usize::try_from(start).ok());
    start
        .and_then(|start| bytes.slice(start..bytes.len()))
        .unwrap_or_else(|| Vec::new().into())
}

fn read_version(reader: &mut Reader<'_>) -> Result<u32> {
    let magic = reader.take(MAGIC.len() as u64)?;
    if magic != MAGIC {
        return Err(Error::NotGguf {
            file: reader.file.into(),
            found: excerpt(magic),
        });
    }
    let found = reader.u32()?;
    let file = reader.file.to_path_buf();
    match (found, found.swap_bytes()) {
        (2 | 3, _) => Ok(found),
        // Versions are small numbers: only a swapped one has its low half empty.
        (_, swapped @ 1..=0xffff) => Err(Error::BigEndian {
            file,
            found,
            swapped,
        }),
        _ => Err(Error::Version { file, found }),
    }
}
