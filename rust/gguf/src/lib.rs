//! The GGUF file format: read, validate, write.
//!
//! Reads versions 2 and 3 from a memory map, and sets of split files as one. Everything in a file
//! is hostile until checked: [`Gguf::open`] returns either a file whose every metadata value and
//! every tensor's bytes are in range, or an [`Error`] naming the file, the key or tensor, and the
//! numbers that disagree. What it allocates is bounded by a small multiple of the file's size.
//!
//! ```
//! use farthing_gguf::{GgmlType, Gguf, Writer};
//!
//! let mut file = Vec::new();
//! let mut writer = Writer::stream(&mut file);
//! writer.metadata("general.architecture", "llama")?;
//! writer.tensor("output_norm.weight", &[2], GgmlType::F32, vec![0; 8])?;
//! writer.finish()?;
//!
//! let gguf = Gguf::from_bytes(file)?;
//! assert_eq!(gguf.metadata().str("general.architecture")?, "llama");
//! assert_eq!(gguf.tensor("output_norm.weight").map(|t| t.n_bytes()), Some(8));
//! # Ok::<(), farthing_gguf::Error>(())
//! ```
//!
//! Layout of a file, all numbers little-endian: the bytes `GGUF`, version u32, number of tensors
//! u64, number of metadata entries u64; the entries (key, type u32, value); the tensor table (name,
//! number of dimensions u32, dimensions u64, type u32, offset u64); padding to the alignment; the
//! tensors' bytes. A string is its length (u64) and its bytes; an array is its element type (u32),
//! its length (u64) and its elements. Source: `docs/gguf.md` of the ggml project.

mod array;
mod bytes;
mod error;
mod file;
mod ggml_type;
mod metadata;
mod output;
mod part;
mod readahead;
mod reader;
mod split;
mod tensor;
mod value;
mod write;

pub use array::Array;
pub use bytes::{Bytes, Str};
pub use error::{Error, Problem, Result};
pub use file::Gguf;
pub use ggml_type::GgmlType;
pub use metadata::{FromValue, Metadata};
pub use readahead::ReadAhead;
pub use split::Split;
pub use tensor::Tensor;
pub use value::{Scalar, Value, ValueType};
pub use write::{TensorData, Writer};
