//! Writes GGUF files, version 3.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::bytes::Bytes;
use crate::error::{Error, Result};
use crate::ggml_type::GgmlType;
use crate::metadata::{MAX_KEY, Metadata};
use crate::part::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, check_alignment};
use crate::split::{self, Split};
use crate::tensor::{MAX_NAME, check_shape};
use crate::value::Value;

const VERSION: u32 = 3;

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

    fn len(&self) -> Option<usize> {
        match &self.0 {
            Source::Bytes(bytes) => Some(bytes.len()),
            Source::Shared(bytes) => Some(bytes.len()),
            Source::Function(_) => None,
        }
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

struct Planned<'a> {
    name: String,
    shape: Vec<usize>,
    ty: GgmlType,
    n_bytes: u64,
    data: TensorData<'a>,
}

enum Target<'a> {
    Path(PathBuf),
    Stream(Box<dyn Write + 'a>),
}

/// Collects metadata and tensors, then writes them in the order they came in.
///
/// Nothing is written before [`Writer::finish`]. A file appears under its name only when it is
/// complete: until then it has `.partial` after its name, and is removed if anything fails.
pub struct Writer<'a> {
    file: PathBuf,
    target: Target<'a>,
    split: Option<Split>,
    alignment: u64,
    entries: Vec<(String, Value)>,
    keys: HashMap<String, usize>,
    tensors: Vec<Planned<'a>>,
    names: HashMap<String, usize>,
}

impl<'a> Writer<'a> {
    /// A writer of the file `path`; with [`Writer::split`], of `path` without its `.gguf` and with
    /// the number of each part.
    pub fn new(path: impl AsRef<Path>) -> Writer<'a> {
        let path = path.as_ref().to_path_buf();
        Writer::to(path.clone(), Target::Path(path))
    }

    /// A writer to anything that takes bytes; errors call it `<stream>`.
    pub fn stream(out: impl Write + 'a) -> Writer<'a> {
        Writer::to("<stream>".into(), Target::Stream(Box::new(out)))
    }

    fn to(file: PathBuf, target: Target<'a>) -> Writer<'a> {
        Writer {
            file,
            target,
            split: None,
            alignment: DEFAULT_ALIGNMENT.into(),
            entries: Vec::new(),
            keys: HashMap::new(),
            tensors: Vec::new(),
            names: HashMap::new(),
        }
    }

    /// Writes a set of split files instead of one file. The set is `-00001-of-00001` if all fits
    /// in one part.
    pub fn split(&mut self, split: Split) -> &mut Self {
        self.split = Some(split);
        self
    }

    /// Adds an entry. `general.alignment` sets the alignment of the file (default 32).
    ///
    /// Fails if the key is empty, too long, already there or one of those of split files.
    pub fn metadata(&mut self, key: &str, value: impl Into<Value>) -> Result<&mut Self> {
        let value = value.into();
        let file = || self.file.clone();
        if [split::NO, split::COUNT, split::TENSORS].contains(&key) {
            return Err(Error::ReservedKey {
                file: file(),
                key: key.into(),
            });
        }
        self.check_name(format!("key \"{key}\""), key, MAX_KEY)?;
        if key == ALIGNMENT_KEY {
            // Readers other than this crate's want exactly this type.
            let Value::U32(alignment) = value else {
                let (key, found) = (key.to_owned(), value.describe());
                return Err(Error::WrongType {
                    file: file(),
                    key,
                    found,
                    wanted: "u32",
                });
            };
            self.alignment = check_alignment(&self.file, alignment)?;
        }
        let second = self.entries.len();
        if let Some(first) = self.keys.insert(key.to_owned(), second) {
            return Err(Error::DuplicateKey {
                file: file(),
                key: key.into(),
                first,
                second,
            });
        }
        self.entries.push((key.to_owned(), value));
        Ok(self)
    }

    /// Adds all entries of another file, but for those that only say how it was split.
    pub fn copy_metadata(&mut self, metadata: &Metadata) -> Result<&mut Self> {
        for (key, value) in metadata.iter() {
            if ![split::NO, split::COUNT, split::TENSORS].contains(&key) {
                self.metadata(key, value.clone())?;
            }
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
        let data = data.into();
        self.check_name(format!("tensor name \"{name}\""), name, MAX_NAME)?;
        let dims: Vec<u64> = shape.iter().map(|&length| length as u64).collect();
        let (shape, n_bytes) = check_shape(&self.file, name, &dims, ty)?;
        let planned = Planned {
            name: name.to_owned(),
            shape,
            ty,
            n_bytes,
            data,
        };
        if let Some(given) = planned.data.len() {
            planned.check_size(&self.file, given as u64)?;
        }
        let second = self.tensors.len();
        if let Some(first) = self.names.insert(name.to_owned(), second) {
            let (file, tensor) = (self.file.clone(), name.to_owned());
            return Err(Error::DuplicateTensor {
                file,
                tensor,
                first,
                second,
            });
        }
        self.tensors.push(planned);
        Ok(self)
    }

    fn check_name(&self, item: String, name: &str, max: usize) -> Result<()> {
        if name.is_empty() || name.len() > max {
            let (file, len) = (self.file.clone(), name.len());
            return Err(Error::NameLength {
                file,
                item,
                len,
                max,
            });
        }
        Ok(())
    }

    /// Writes everything. Gives the paths of the files written: one, or one per part, or none for
    /// a stream.
    pub fn finish(self) -> Result<Vec<PathBuf>> {
        let Writer {
            file,
            target,
            split,
            alignment,
            entries,
            tensors,
            ..
        } = self;
        match (target, split) {
            (Target::Stream(mut out), None) => {
                write_part(&mut out, &file, alignment, &entries, tensors)?;
                Ok(Vec::new())
            }
            (Target::Stream(_), Some(_)) => Err(Error::SplitInMemory { file }),
            (Target::Path(path), None) => {
                write_file(&path, alignment, &entries, tensors)?;
                Ok(vec![path])
            }
            (Target::Path(path), Some(split)) => {
                write_parts(&path, split, alignment, entries, tensors)
            }
        }
    }
}

impl Planned<'_> {
    fn check_size(&self, file: &Path, given: u64) -> Result<()> {
        if given == self.n_bytes {
            return Ok(());
        }
        Err(Error::TensorData {
            file: file.into(),
            tensor: self.name.clone(),
            shape: self.shape.clone(),
            ty: self.ty.name(),
            wanted: self.n_bytes,
            given,
        })
    }
}

/// Sorts tensors into parts and writes each part's file.
fn write_parts(
    path: &Path,
    split: Split,
    alignment: u64,
    entries: Vec<(String, Value)>,
    tensors: Vec<Planned<'_>>,
) -> Result<Vec<PathBuf>> {
    let total = tensors.len();
    let parts = divide(split, tensors);
    let count = match u32::try_from(parts.len()) {
        Ok(count) if count <= split::MAX_PARTS => count,
        _ => {
            let (file, count, max) = (path.into(), parts.len(), split::MAX_PARTS);
            return Err(Error::TooManyParts { file, count, max });
        }
    };
    // The later parts need the alignment too.
    let shared: Vec<_> = entries
        .iter()
        .filter(|entry| entry.0 == ALIGNMENT_KEY)
        .cloned()
        .collect();
    let mut entries = Some(entries);
    let mut written = Vec::new();
    for (no, tensors) in (0..count).zip(parts) {
        let mut entries = entries.take().unwrap_or_else(|| shared.clone());
        // These types are the ones that other readers expect.
        entries.push((split::NO.into(), Value::U16(no as u16)));
        entries.push((split::COUNT.into(), Value::U16(count as u16)));
        entries.push((split::TENSORS.into(), Value::I32(total as i32)));
        let file = split::part_path(path, no, count);
        write_file(&file, alignment, &entries, tensors)?;
        written.push(file);
    }
    Ok(written)
}

fn divide(split: Split, tensors: Vec<Planned<'_>>) -> Vec<Vec<Planned<'_>>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0u64;
    for tensor in tensors {
        let part = parts.len() - 1;
        let full = match split {
            Split::Tensors(max) => parts[part].len() >= max,
            Split::Bytes(max) => bytes.saturating_add(tensor.n_bytes) > max,
        };
        if full && !parts[part].is_empty() {
            bytes = 0;
            parts.push(vec![tensor]);
        } else {
            parts[part].push(tensor);
        }
    }
    parts
}

fn write_file(
    path: &Path,
    alignment: u64,
    entries: &[(String, Value)],
    tensors: Vec<Planned<'_>>,
) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let io = |source| Error::Io {
        file: path.into(),
        source,
    };
    let file = File::create(&partial).map_err(io)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let result = write_part(&mut out, path, alignment, entries, tensors)
        // Some file systems report a full disk only here.
        .and_then(|()| out.get_ref().sync_all().map_err(io))
        .and_then(|()| fs::rename(&partial, path).map_err(io));
    if result.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&partial);
    }
    result
}

fn write_part(
    out: &mut dyn Write,
    file: &Path,
    alignment: u64,
    entries: &[(String, Value)],
    tensors: Vec<Planned<'_>>,
) -> Result<()> {
    let io = |source| Error::Io {
        file: file.into(),
        source,
    };
    let mut out = Counting { out, count: 0 };
    out.write_all(&header(file, alignment, entries, &tensors)?)
        .map_err(io)?;
    for tensor in tensors {
        out.pad(alignment).map_err(io)?;
        write_tensor(&mut out, file, tensor)?;
    }
    out.pad(alignment).map_err(io)?;
    out.flush().map_err(io)
}

fn write_tensor(out: &mut Counting<'_>, file: &Path, mut tensor: Planned<'_>) -> Result<()> {
    let start = out.count;
    let data = std::mem::replace(&mut tensor.data, Vec::new().into());
    let result = match data.0 {
        Source::Bytes(bytes) => out.write_all(&bytes),
        Source::Shared(bytes) => out.write_all(&bytes),
        Source::Function(write) => write(out),
    };
    result.map_err(|source| Error::Io {
        file: file.into(),
        source,
    })?;
    tensor.check_size(file, out.count - start)
}

fn header(
    file: &Path,
    alignment: u64,
    entries: &[(String, Value)],
    tensors: &[Planned<'_>],
) -> Result<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
    out.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    for (key, value) in entries {
        put_string(&mut out, key);
        out.extend_from_slice(&value.value_type().id().to_le_bytes());
        value.encode(&mut out);
    }
    let mut offset = 0u64;
    for tensor in tensors {
        put_string(&mut out, &tensor.name);
        out.extend_from_slice(&(tensor.shape.len() as u32).to_le_bytes());
        for &length in &tensor.shape {
            out.extend_from_slice(&(length as u64).to_le_bytes());
        }
        out.extend_from_slice(&tensor.ty.id().to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        let end = offset.checked_add(tensor.n_bytes);
        offset = end
            .and_then(|end| end.checked_next_multiple_of(alignment))
            .ok_or_else(|| Error::TooLarge {
                file: file.into(),
                tensor: tensor.name.clone(),
                shape: tensor.shape.iter().map(|&length| length as u64).collect(),
                ty: tensor.ty.name(),
                max: u64::MAX - offset,
            })?;
    }
    Ok(out)
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Counts what goes through.
struct Counting<'a> {
    out: &'a mut dyn Write,
    count: u64,
}

impl Counting<'_> {
    fn pad(&mut self, alignment: u64) -> io::Result<()> {
        let padding = self.count.next_multiple_of(alignment) - self.count;
        io::copy(&mut io::Read::take(io::repeat(0), padding), self).map(drop)
    }
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
