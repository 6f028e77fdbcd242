//! Writes GGUF files, version 3: what is to be written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::bytes::Bytes;
use crate::error::{Checked, Error, Problem, Result};
use crate::ggml_type::GgmlType;
use crate::metadata::{MAX_KEY, Metadata};
use crate::output::{self, Planned};
use crate::part::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, check_alignment};
use crate::split::{self, Split};
use crate::tensor::{MAX_NAME, check_shape};
use crate::value::{Value, ValueType};

/// The values of a tensor to write: bytes, or a function that writes them when it is their turn, so
/// that a model larger than memory can be written.
pub struct TensorData<'a>(Source<'a>);

type WriteTensor<'a> = dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'a;

enum Source<'a> {
    Bytes(Cow<'a, [u8]>),
    Shared(Bytes),
    Function(Box<WriteTensor<'a>>),
}

impl<'a> TensorData<'a> {
    /// Data that `write` writes, called once by [`Writer::finish`]; it must write exactly the bytes
    /// of the tensor.
    pub fn stream(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'a) -> Self {
        TensorData(Source::Function(Box::new(write)))
    }

    /// The size in bytes, unless only writing shows it.
    fn len(&self) -> Option<u64> {
        match &self.0 {
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::Shared(bytes) => Some(bytes.len() as u64),
            Source::Function(_) => None,
        }
    }

    pub(crate) fn write(self, out: &mut dyn Write) -> io::Result<()> {
        match self.0 {
            Source::Bytes(bytes) => out.write_all(&bytes),
            Source::Shared(bytes) => out.write_all(&bytes),
            Source::Function(write) => write(out),
        }
    }
}

impl Default for TensorData<'_> {
    /// No bytes.
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<u8>> for TensorData<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        TensorData(Source::Bytes(bytes.into()))
    }
}

impl<'a> From<&'a [u8]> for TensorData<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        TensorData(Source::Bytes(bytes.into()))
    }
}

impl From<Bytes> for TensorData<'_> {
    fn from(bytes: Bytes) -> Self {
        TensorData(Source::Shared(bytes))
    }
}

enum Target<'a> {
    Path(PathBuf),
    Stream(Box<dyn Write + 'a>),
}

/// Collects metadata and tensors, then writes them in the order they came in.
///
/// Nothing is written before [`Writer::finish`]. A file appears under its name only when it is
/// complete: until then it has `.partial` after its name, and is removed if anything fails. So a
/// file that is open (mapped) can be replaced, and written from.
pub struct Writer<'a> {
    target: Target<'a>,
    split: Option<Split>,
    alignment: u64,
    entries: Vec<(String, Value)>,
    /// Index of each key in `entries`.
    keys: HashMap<String, usize>,
    tensors: Vec<Planned<'a>>,
    /// Index of each name in `tensors`.
    names: HashMap<String, usize>,
}

impl<'a> Writer<'a> {
    /// A writer of the file `path`; with [`Writer::split`], of `path` without its `.gguf` and with
    /// the number of each part.
    pub fn new(path: impl AsRef<Path>) -> Writer<'a> {
        Writer::to(Target::Path(path.as_ref().to_path_buf()))
    }

    /// A writer to anything that takes bytes; errors call it `<stream>`.
    pub fn stream(out: impl Write + 'a) -> Writer<'a> {
        Writer::to(Target::Stream(Box::new(out)))
    }

    fn to(target: Target<'a>) -> Writer<'a> {
        Writer {
            target,
            split: None,
            alignment: DEFAULT_ALIGNMENT.into(),
            entries: Vec::new(),
            keys: HashMap::new(),
            tensors: Vec::new(),
            names: HashMap::new(),
        }
    }

    /// Makes [`Writer::finish`] write a set of split files, of at least one part.
    pub fn split(&mut self, split: Split) -> &mut Self {
        self.split = Some(split);
        self
    }

    /// Adds an entry. `general.alignment` sets the alignment of the file (default 32).
    ///
    /// Fails if the key is empty, too long, already there or one of those of split files.
    pub fn metadata(&mut self, key: &str, value: impl Into<Value>) -> Result<&mut Self> {
        self.plan_entry(key, value.into()).map_err(Error::at(self.file()))?;
        Ok(self)
    }

    /// Adds all entries of another file, but for those that only say how it was split.
    pub fn copy_metadata(&mut self, metadata: &Metadata) -> Result<&mut Self> {
        for (key, value) in metadata.iter().filter(|entry| !split::is_key(entry.0)) {
            self.metadata(key, value.clone())?;
        }
        Ok(self)
    }

    /// Adds a tensor. `shape` has one to four dimensions in ggml's order, the fastest first.
    ///
    /// Fails if the name is empty, longer than 63 bytes or already there, if a row is not a whole
    /// number of blocks, or if `data` has another size than the shape and type ask for.
    pub fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        ty: GgmlType,
        data: impl Into<TensorData<'a>>,
    ) -> Result<&mut Self> {
        self.plan_tensor(name, shape, ty, data.into()).map_err(Error::at(self.file()))?;
        Ok(self)
    }

    /// Writes everything. Gives the paths of the files written: one, or one per part, or none for
    /// a stream.
    pub fn finish(self) -> Result<Vec<PathBuf>> {
        let file = self.file().to_owned();
        let Writer { target, split, alignment, entries, tensors, .. } = self;
        match (target, split) {
            (Target::Stream(mut out), None) => {
                output::write_to(&mut out, alignment, &entries, tensors)
                    .map_err(Error::at(&file))?;
                Ok(Vec::new())
            }
            (Target::Stream(_), Some(_)) => Err(Error::at(&file)(Problem::SplitInMemory)),
            (Target::Path(path), None) => {
                output::write_file(&path, alignment, &entries, tensors)?;
                Ok(vec![path])
            }
            (Target::Path(path), Some(split)) => {
                output::write_parts(&path, split, alignment, entries, tensors)
            }
        }
    }

    /// What errors call the file.
    fn file(&self) -> &Path {
        match &self.target {
            Target::Path(path) => path,
            Target::Stream(_) => Path::new("<stream>"),
        }
    }

    fn plan_entry(&mut self, key: &str, value: Value) -> Checked<()> {
        if split::is_key(key) {
            return Err(Problem::ReservedKey { key: key.into() });
        }
        check_name("key", key, MAX_KEY)?;
        let second = self.entries.len();
        if let Some(&first) = self.keys.get(key) {
            return Err(Problem::DuplicateKey { key: key.into(), first, second });
        }
        if key == ALIGNMENT_KEY {
            // ggml wants exactly this type.
            let Value::U32(alignment) = value else {
                let (found, wanted) = (value.describe(), ValueType::U32.name());
                return Err(Problem::WrongType { key: key.into(), found, wanted });
            };
            self.alignment = check_alignment(alignment)?;
        }
        self.keys.insert(key.to_owned(), second);
        self.entries.push((key.to_owned(), value));
        Ok(())
    }

    fn plan_tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        ty: GgmlType,
        data: TensorData<'a>,
    ) -> Checked<()> {
        check_name("tensor name", name, MAX_NAME)?;
        let second = self.tensors.len();
        if let Some(&first) = self.names.get(name) {
            return Err(Problem::DuplicateTensor { tensor: name.into(), first, second });
        }
        let dims: Vec<u64> = shape.iter().map(|&length| length as u64).collect();
        let (shape, n_bytes) = check_shape(name, &dims, ty)?;
        let given = data.len().unwrap_or(n_bytes);
        let planned = Planned { name: name.to_owned(), shape, ty, n_bytes, data };
        if given != n_bytes {
            return Err(planned.wrong_size(given));
        }
        self.names.insert(name.to_owned(), second);
        self.tensors.push(planned);
        Ok(())
    }
}

fn check_name(what: &str, name: &str, max: usize) -> Checked<()> {
    let len = name.len();
    if name.is_empty() || len > max {
        return Err(Problem::NameLength { item: format!("{what} {name:?}"), len, max });
    }
    Ok(())
}
