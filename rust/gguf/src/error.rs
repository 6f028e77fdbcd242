//! What can be wrong with a file.

use std::io;
use std::path::PathBuf;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file could not be read or written. `file` is the path, `<memory>` for bytes and
/// `<stream>` for a writer without a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Error {
    #[error("{file}: {source}")]
    Io { file: PathBuf, source: io::Error },

    #[error("{file}: not a regular file")]
    NotAFile { file: PathBuf },

    #[error("{file}: {len} bytes do not fit this machine's address space")]
    FileTooLarge { file: PathBuf, len: u64 },

    #[error("{file}: not a GGUF file: it begins with \"{found}\", not \"GGUF\"")]
    NotGguf { file: PathBuf, found: String },

    #[error("{file}: GGUF version {found} is not supported, only versions 2 and 3 are")]
    Version { file: PathBuf, found: u32 },

    #[error(
        "{file}: a big-endian GGUF file (its version reads as {found:#x}, {swapped} with the bytes \
         swapped); only little-endian files are supported"
    )]
    BigEndian {
        file: PathBuf,
        found: u32,
        swapped: u32,
    },

    #[error(
        "{file}: cut short: {item} needs {needed} bytes at offset {at}, but the file has {left} \
         there"
    )]
    Truncated {
        file: PathBuf,
        item: String,
        at: usize,
        needed: u64,
        left: usize,
    },

    #[error(
        "{file}: {item} claims {count} {what} of at least {each} bytes each, but the file has only \
         {left} bytes left"
    )]
    Count {
        file: PathBuf,
        item: String,
        count: u64,
        what: &'static str,
        each: usize,
        left: usize,
    },

    #[error("{file}: {item} is not UTF-8 after {valid} of its {len} bytes: \"{text}\"")]
    NotUtf8 {
        file: PathBuf,
        item: String,
        valid: usize,
        len: usize,
        text: String,
    },

    #[error("{file}: {item} has {len} bytes, must have 1 to {max}")]
    NameLength {
        file: PathBuf,
        item: String,
        len: usize,
        max: usize,
    },

    #[error("{file}: key \"{key}\" occurs twice, as entries {first} and {second}")]
    DuplicateKey {
        file: PathBuf,
        key: String,
        first: usize,
        second: usize,
    },

    #[error("{file}: {item} has unknown value type {found}, must be 0 to 12")]
    ValueType {
        file: PathBuf,
        item: String,
        found: u32,
    },

    #[error("{file}: {item} nests arrays {depth} deep, at most {max} are supported")]
    Depth {
        file: PathBuf,
        item: String,
        depth: usize,
        max: usize,
    },

    #[error("{file}: {item} has a bool of {found}, must be 0 or 1")]
    Bool {
        file: PathBuf,
        item: String,
        found: u8,
    },

    #[error("{file}: key \"{key}\" is missing, a value of type {wanted} is needed")]
    MissingKey {
        file: PathBuf,
        key: String,
        wanted: &'static str,
    },

    #[error("{file}: key \"{key}\" holds {found}, which is no {wanted}")]
    WrongType {
        file: PathBuf,
        key: String,
        found: String,
        wanted: &'static str,
    },

    #[error("{file}: general.alignment is {found}, must be a power of two of at least {min}")]
    Alignment { file: PathBuf, found: u32, min: u32 },

    #[error("{file}: tensor \"{tensor}\" has {found} dimensions, at most {max} are supported")]
    Dimensions {
        file: PathBuf,
        tensor: String,
        found: usize,
        max: usize,
    },

    #[error(
        "{file}: tensor \"{tensor}\" of shape {shape:?} has dimension {index} of 0, must be 1 or more"
    )]
    ZeroDimension {
        file: PathBuf,
        tensor: String,
        shape: Vec<u64>,
        index: usize,
    },

    #[error(
        "{file}: tensor \"{tensor}\" of shape {shape:?} and type {ty} has more than {max} bytes"
    )]
    TooLarge {
        file: PathBuf,
        tensor: String,
        shape: Vec<u64>,
        ty: &'static str,
        max: u64,
    },

    #[error("{file}: tensor \"{tensor}\" has unknown type {id}, the last known is {last}")]
    UnknownType {
        file: PathBuf,
        tensor: String,
        id: u32,
        last: u32,
    },

    #[error(
        "{file}: tensor \"{tensor}\" has the removed type {id} ({name}); it must be quantized anew"
    )]
    RemovedType {
        file: PathBuf,
        tensor: String,
        id: u32,
        name: &'static str,
    },

    #[error(
        "{file}: tensor \"{tensor}\" of type {ty} has rows of {row}, must be a multiple of {block}"
    )]
    RowLength {
        file: PathBuf,
        tensor: String,
        ty: &'static str,
        row: u64,
        block: usize,
    },

    #[error("{file}: tensor \"{tensor}\" is at offset {offset}, must be a multiple of {alignment}")]
    Misaligned {
        file: PathBuf,
        tensor: String,
        offset: u64,
        alignment: u64,
    },

    #[error(
        "{file}: tensor \"{tensor}\" needs {needed} bytes at offset {offset} of the tensor data, \
         but the file has {available} bytes of tensor data"
    )]
    PastEnd {
        file: PathBuf,
        tensor: String,
        offset: u64,
        needed: u64,
        available: u64,
    },

    #[error(
        "{file}: tensor \"{tensor}\" ends at {end} of the tensor data, but tensor \"{next}\" \
         begins at {start}"
    )]
    Overlap {
        file: PathBuf,
        tensor: String,
        end: u64,
        next: String,
        start: u64,
    },

    #[error("{file}: tensor \"{tensor}\" occurs twice, as tensors {first} and {second}")]
    DuplicateTensor {
        file: PathBuf,
        tensor: String,
        first: usize,
        second: usize,
    },

    #[error(
        "{file}: tensor \"{tensor}\" of shape {shape:?} and type {ty} takes {wanted} bytes, but \
         {given} were given"
    )]
    TensorData {
        file: PathBuf,
        tensor: String,
        shape: Vec<usize>,
        ty: &'static str,
        wanted: u64,
        given: u64,
    },

    #[error("{file}: key \"{key}\" is written by the writer itself")]
    ReservedKey { file: PathBuf, key: String },

    #[error("{file}: a set of split files cannot be read from memory or written to a stream")]
    SplitInMemory { file: PathBuf },

    #[error(
        "{file}: split.no is {no} of split.count {count}, so the name should end in \"{wanted}\""
    )]
    SplitName {
        file: PathBuf,
        no: u32,
        count: u32,
        wanted: String,
    },

    #[error("{file}: split.no is {no}, must be less than split.count {count}")]
    SplitNumber { file: PathBuf, no: u32, count: u32 },

    #[error("{file}: {key} is {found}, must be {wanted} as a part of the set of {other}")]
    SplitMismatch {
        file: PathBuf,
        key: &'static str,
        found: u64,
        wanted: u64,
        other: PathBuf,
    },

    #[error("{file}: split.tensors.count is {wanted}, but the {parts} parts hold {found} tensors")]
    SplitTensors {
        file: PathBuf,
        wanted: u64,
        parts: usize,
        found: usize,
    },

    #[error("{file}: tensor \"{tensor}\" is already in {other}")]
    SplitDuplicateTensor {
        file: PathBuf,
        tensor: String,
        other: PathBuf,
    },

    #[error("{file}: part {no} of {count} of a split file: {source}")]
    SplitPart {
        file: PathBuf,
        no: u32,
        count: u32,
        source: io::Error,
    },

    #[error("{file}: the tensors would need {count} parts, at most {max} can be named")]
    TooManyParts {
        file: PathBuf,
        count: usize,
        max: u32,
    },
}
