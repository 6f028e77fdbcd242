//! An opened file, or set of split files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::bytes::Bytes;
use crate::error::{Error, Problem, Result};
use crate::metadata::Metadata;
use crate::part::Part;
use crate::split;
use crate::tensor::Tensor;

/// A GGUF file, mapped and checked.
#[derive(Debug)]
pub struct Gguf {
    version: u32,
    alignment: u64,
    parts: Vec<PathBuf>,
    metadata: Metadata,
    tensors: Vec<Tensor>,
    index: HashMap<String, usize>,
}

impl Gguf {
    /// Opens a file and, if it is one part of a set of split files, the whole set.
    ///
    /// The file is mapped, not read: its bytes must stay as they are for as long as anything taken
    /// from it lives (see [`Bytes`]).
    pub fn open(path: impl AsRef<Path>) -> Result<Gguf> {
        let path = path.as_ref();
        let part = Part::open(path)?;
        if split::count(&part.metadata)? > 1 {
            let (first, rest) = split::open_all(path, part)?;
            Ok(Gguf::join(first, rest))
        } else {
            Ok(Gguf::join((path.to_owned(), part), Vec::new()))
        }
    }

    /// Reads a file that is already in memory; errors call it `<memory>`. The bytes are copied, to
    /// align them as an opened file's are.
    pub fn from_bytes(data: Vec<u8>) -> Result<Gguf> {
        let file = PathBuf::from("<memory>");
        let bytes = Bytes::aligned(&data).map_err(Error::at(&file))?;
        let part = Part::parse(&file, &bytes)?;
        if split::count(&part.metadata)? > 1 {
            return Err(Error::at(&file)(Problem::SplitInMemory));
        }
        Ok(Gguf::join((file, part), Vec::new()))
    }

    /// Puts parts together: metadata of the first, tensors of all.
    fn join((path, first): (PathBuf, Part), rest: Vec<(PathBuf, Part)>) -> Gguf {
        let mut parts = vec![path];
        let mut tensors = first.tensors;
        for (path, part) in rest {
            let number = parts.len();
            tensors.extend(part.tensors.into_iter().map(|tensor| tensor.of_part(number)));
            parts.push(path);
        }
        let names = tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.clone(), index));
        Gguf {
            version: first.version,
            alignment: first.alignment,
            parts,
            metadata: first.metadata,
            index: names.collect(),
            tensors,
        }
    }

    /// The version of the format: 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What the offsets of tensors are multiples of, in bytes (`general.alignment`, default 32).
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The files, in order: one, or all parts of a split file.
    pub fn parts(&self) -> &[PathBuf] {
        &self.parts
    }

    /// The file, or the first part of a split file.
    pub fn path(&self) -> &Path {
        &self.parts[0]
    }

    /// The metadata, of the first part if there are several.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All tensors, in the order of the table, part by part.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(*self.index.get(name)?)
    }
}
