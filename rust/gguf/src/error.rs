//! What can be wrong with a file.

use std::io;
use std::path::{Path, PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct Error {
    /// The path; `<memory>` for bytes, `<stream>` for a writer without a path.
    pub file: PathBuf,
    /// What is wrong there.
    pub problem: Problem,
}

impl Error {
    /// For `map_err`: the problem is in `file`.
    pub(crate) fn at<P: Into<Problem>>(file: &Path) -> impl Fn(P) -> Error + Copy + '_ {
        |problem| Error { file: file.to_owned(), problem: problem.into() }
    }
}

/// What is wrong with a file: the key or tensor, and the numbers that disagree. An `item` is a
/// phrase that names the part of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Problem {
    #[error("{0}")]
    Io(#[from] io::Error),

    #[error("not a regular file")]
    NotAFile,

    #[error("{len} bytes do not fit this machine's address space")]
    FileTooLarge { len: u64 },

    #[error("not a GGUF file: it begins with \"{found}\", not \"GGUF\"")]
    NotGguf { found: String },

    #[error("GGUF version {found} is not supported, only versions 2 and 3 are")]
    Version { found: u32 },

    #[error(
        "a big-endian GGUF file (its version reads as {found:#x}, {swapped} in the other byte \
         order); only little-endian files are supported"
    )]
    BigEndian { found: u32, swapped: u32 },

    #[error("cut short: {item} needs {needed} bytes at offset {at}, but {left} are left")]
    Truncated { item: String, at: usize, needed: u64, left: usize },

    #[error(
        "{item} claims {count} {what} of at least {each} bytes each, but {left} bytes are left"
    )]
    Count { item: String, count: u64, what: &'static str, each: usize, left: usize },

    #[error("{item} is not UTF-8 after {valid} of its {len} bytes: \"{text}\"")]
    NotUtf8 { item: String, valid: usize, len: usize, text: String },

    #[error("{item} has {len} bytes, must have 1 to {max}")]
    NameLength { item: String, len: usize, max: usize },

    #[error("key {key:?} occurs twice, as entries {first} and {second}")]
    DuplicateKey { key: String, first: usize, second: usize },

    #[error("{item} has the unknown value type {found}, must be 0 to 12")]
    ValueType { item: String, found: u32 },

    #[error("{item} nests arrays {depth} deep, at most {max} are supported")]
    Depth { item: String, depth: usize, max: usize },

    #[error("{item} holds {found} as a bool, must be 0 or 1")]
    Bool { item: String, found: u8 },

    #[error("key {key:?} is missing, wanted {wanted}")]
    MissingKey { key: String, wanted: &'static str },

    #[error("key {key:?} holds {found}, wanted {wanted}")]
    WrongType { key: String, found: String, wanted: &'static str },

    #[error("general.alignment is {found}, must be a power of two of at least {min}")]
    Alignment { found: u32, min: u32 },

    #[error("tensor {tensor:?} has {found} dimensions, must have 1 to {max}")]
    Dimensions { tensor: String, found: usize, max: usize },

    #[error("tensor {tensor:?} of shape {shape:?} has a dimension of 0, must be 1 or more")]
    ZeroDimension { tensor: String, shape: Vec<u64> },

    #[error("tensor {tensor:?} of shape {shape:?} and type {ty} has more than {max} bytes")]
    TooLarge { tensor: String, shape: Vec<u64>, ty: &'static str, max: u64 },

    #[error("tensor {tensor:?} has the unknown type {id}, the last known is {last}")]
    UnknownType { tensor: String, id: u32, last: u32 },

    #[error("tensor {tensor:?} has the removed type {id} ({name}); it must be quantized anew")]
    RemovedType { tensor: String, id: u32, name: &'static str },

    #[error("tensor {tensor:?} of type {ty} has rows of {row}, must be a multiple of {block}")]
    RowLength { tensor: String, ty: &'static str, row: u64, block: usize },

    #[error("tensor {tensor:?} is at offset {offset}, must be a multiple of {alignment}")]
    Misaligned { tensor: String, offset: u64, alignment: u64 },

    #[error(
        "tensor {tensor:?} needs {needed} bytes at offset {offset} of the tensor data, which has \
         {available} bytes"
    )]
    PastEnd { tensor: String, offset: u64, needed: u64, available: u64 },

    #[error("tensor {tensor:?} ends at {end}, but tensor {next:?} begins at {start}")]
    Overlap { tensor: String, end: usize, next: String, start: usize },

    #[error("tensor {tensor:?} occurs twice, as tensors {first} and {second}")]
    DuplicateTensor { tensor: String, first: usize, second: usize },

    #[error(
        "tensor {tensor:?} of shape {shape:?} and type {ty} takes {wanted} bytes, but {given} \
         were given"
    )]
    TensorData { tensor: String, shape: Vec<usize>, ty: &'static str, wanted: u64, given: u64 },

    #[error("key {key:?} is written by the writer itself")]
    ReservedKey { key: String },

    #[error("a set of split files cannot be read from memory or written to a stream")]
    SplitInMemory,

    #[error("split.no is {no} and split.count {count}, so the name should end in \"{wanted}\"")]
    SplitName { no: u32, count: u32, wanted: String },

    #[error("split.no is {no}, must be less than split.count {count}")]
    SplitNumber { no: u32, count: u32 },

    #[error("{key} is {found}, must be {wanted} as a part of the set of {other}")]
    SplitMismatch { key: &'static str, found: u64, wanted: u64, other: PathBuf },

    #[error("split.tensors.count is {wanted}, but the {parts} parts hold {found} tensors")]
    SplitTensors { wanted: u64, parts: usize, found: usize },

    #[error("tensor {tensor:?} is already in {other}")]
    SplitDuplicateTensor { tensor: String, other: PathBuf },

    #[error("part {no} of {count} of a split file: {source}")]
    SplitPart { no: u32, count: u32, source: io::Error },

    #[error("the tensors would need {count} parts, at most {max} can be numbered")]
    TooManyParts { count: usize, max: u16 },
}

/// A result whose error does not know its file yet.
pub(crate) type Checked<T> = std::result::Result<T, Problem>;
