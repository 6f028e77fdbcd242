//! Writes GGUF files, version 3: the bytes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Checked, Error, Problem, Result};
use crate::ggml_type::GgmlType;
use crate::part::{ALIGNMENT_KEY, MAGIC};
use crate::split::{self, Split};
use crate::value::Value;
use crate::write::TensorData;

const VERSION: u32 = 3;

/// A tensor to write, checked.
pub(crate) struct Planned<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) ty: GgmlType,
    pub(crate) n_bytes: u64,
    pub(crate) data: TensorData<'a>,
}

impl Planned<'_> {
    pub(crate) fn wrong_size(self, given: u64) -> Problem {
        Problem::TensorData {
            tensor: self.name,
            shape: self.shape,
            ty: self.ty.name(),
            wanted: self.n_bytes,
            given,
        }
    }
}

/// Writes each part's file; if one fails, removes those before it.
pub(crate) fn write_parts(
    path: &Path,
    split: Split,
    alignment: u64,
    entries: Vec<(String, Value)>,
    tensors: Vec<Planned<'_>>,
) -> Result<Vec<PathBuf>> {
    let total = tensors.len();
    let parts = divide(split, tensors);
    let (count, max) = (parts.len(), split::MAX_PARTS);
    let Some(numbered) = u16::try_from(count).ok().filter(|&count| count <= max) else {
        return Err(Error::at(path)(Problem::TooManyParts { count, max }));
    };
    // The first part has all entries; the others need the alignment.
    let aligned = entries.iter().filter(|entry| entry.0 == ALIGNMENT_KEY).cloned().collect();
    let mut entries = Some(entries);
    let mut written: Vec<PathBuf> = Vec::new();
    for (no, tensors) in (0..numbered).zip(parts) {
        let mut entries = entries.take().unwrap_or_else(|| Vec::clone(&aligned));
        // Of the types that ggml reads.
        entries.push((split::NO.into(), no.into()));
        entries.push((split::COUNT.into(), numbered.into()));
        entries.push((split::TENSORS.into(), i32::try_from(total).unwrap_or(i32::MAX).into()));
        let file = split::part_path(path, no.into(), numbered.into());
        if let Err(error) = write_file(&file, alignment, &entries, tensors) {
            for file in written {
                // The first error is the one to report.
                let _ = fs::remove_file(file);
            }
            return Err(error);
        }
        written.push(file);
    }
    Ok(written)
}

fn divide(split: Split, tensors: Vec<Planned<'_>>) -> Vec<Vec<Planned<'_>>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut bytes = 0u64;
    for tensor in tensors {
        let size = bytes.saturating_add(tensor.n_bytes);
        let full = match split {
            Split::Tensors(max) => part.len() >= max,
            Split::Bytes(max) => size > max,
        };
        if full && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = tensor.n_bytes;
        } else {
            bytes = size;
        }
        part.push(tensor);
    }
    parts.push(part);
    parts
}

/// Writes a file under another name, then gives it its own.
pub(crate) fn write_file(
    path: &Path,
    alignment: u64,
    entries: &[(String, Value)],
    tensors: Vec<Planned<'_>>,
) -> Result<()> {
    let at = Error::at(path);
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let result = write_whole(partial.as_ref(), alignment, entries, tensors)
        .and_then(|()| Ok(fs::rename(&partial, path)?));
    if result.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&partial);
    }
    result.map_err(at)
}

fn write_whole(
    path: &Path,
    alignment: u64,
    entries: &[(String, Value)],
    tensors: Vec<Planned<'_>>,
) -> Checked<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    write_to(&mut out, alignment, entries, tensors)?;
    // Some file systems report a full disk only here.
    Ok(out.get_ref().sync_all()?)
}

pub(crate) fn write_to(
    out: &mut dyn Write,
    alignment: u64,
    entries: &[(String, Value)],
    tensors: Vec<Planned<'_>>,
) -> Checked<()> {
    let mut out = Counting { out, count: 0 };
    out.write_all(&header(alignment, entries, &tensors)?)?;
    for mut tensor in tensors {
        out.pad(alignment)?;
        let start = out.count;
        std::mem::take(&mut tensor.data).write(&mut out)?;
        let given = out.count - start;
        if given != tensor.n_bytes {
            return Err(tensor.wrong_size(given));
        }
    }
    out.pad(alignment)?;
    Ok(out.flush()?)
}

fn header(
    alignment: u64,
    entries: &[(String, Value)],
    tensors: &[Planned<'_>],
) -> Checked<Vec<u8>> {
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
        offset = end.and_then(|end| end.checked_next_multiple_of(alignment)).ok_or_else(|| {
            Problem::TooLarge {
                tensor: tensor.name.clone(),
                shape: tensor.shape.iter().map(|&length| length as u64).collect(),
                ty: tensor.ty.name(),
                max: u64::MAX - offset,
            }
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
