//! Tensors: the table in the file, checked.

use std::collections::HashMap;
use std::path::Path;

use crate::bytes::Bytes;
use crate::error::{Error, Result};
use crate::ggml_type::{self, GgmlType};
use crate::reader::{Item, Reader};

/// The longest name, in bytes: ggml keeps names in 64 bytes, the last of them a zero.
pub(crate) const MAX_NAME: usize = 63;

/// The most dimensions.
pub(crate) const MAX_DIMS: usize = 4;

/// Bytes of the smallest row of the table: the length of a name, one byte of name, no dimensions,
/// type, offset.
const MIN_ENTRY: usize = 8 + 1 + 4 + 4 + 8;

/// A tensor of a file.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Unique in the file and its other parts.
    pub name: String,
    /// The dimensions in ggml's order, the fastest first, so `shape[0]` is the row length. One to
    /// four dimensions, none of them 0.
    pub shape: Vec<usize>,
    /// The type of its values.
    pub ty: GgmlType,
    part: usize,
    data: Bytes,
}

impl Tensor {
    /// The number of values.
    pub fn n_elements(&self) -> usize {
        self.n_bytes() / self.ty.block_bytes() * self.ty.block_len()
    }

    /// The size in bytes.
    pub fn n_bytes(&self) -> usize {
        self.data.len()
    }

    /// The values, as they are in the file: rows of blocks of [`GgmlType::block_bytes`]. They begin
    /// at a multiple of 8 in memory.
    pub fn data(&self) -> Bytes {
        self.data.clone()
    }

    /// Where the values begin in their file, in bytes.
    pub fn offset(&self) -> usize {
        self.data.offset()
    }

    /// Which of [`Gguf::parts`](crate::Gguf::parts) holds it.
    pub fn part(&self) -> usize {
        self.part
    }

    pub(crate) fn of_part(self, part: usize) -> Tensor {
        Tensor { part, ..self }
    }
}

/// A row of the table. `offset` counts from the start of the tensor data.
pub(crate) struct Entry {
    name: String,
    shape: Vec<usize>,
    ty: GgmlType,
    offset: u64,
    n_bytes: u64,
}

impl Entry {
    fn read(reader: &mut Reader<'_>, index: usize, alignment: u64) -> Result<Entry> {
        reader.item = Item::TensorName(index);
        let name = reader.name(MAX_NAME)?.to_owned();
        reader.item = Item::Tensor(name.clone());
        let shape = read_shape(reader, &name)?;
        let ty = read_type(reader, &name)?;
        let offset = reader.u64()?;
        if !offset.is_multiple_of(alignment) {
            let (file, tensor) = (reader.file.into(), name);
            return Err(Error::Misaligned {
                file,
                tensor,
                offset,
                alignment,
            });
        }
        let (shape, n_bytes) = check_shape(reader.file, &name, &shape, ty)?;
        Ok(Entry {
            name,
            shape,
            ty,
            offset,
            n_bytes,
        })
    }
}

/// The table: one entry per tensor, of different names.
pub(crate) fn read_table(
    reader: &mut Reader<'_>,
    count: u64,
    alignment: u64,
) -> Result<Vec<Entry>> {
    reader.item = Item::Header;
    let count = reader.claim(count, "tensors", MIN_ENTRY)?;
    let mut table = Vec::new();
    let mut seen = HashMap::new();
    for index in 0..count {
        let entry = Entry::read(reader, index, alignment)?;
        if let Some(first) = seen.insert(entry.name.clone(), index) {
            return Err(Error::DuplicateTensor {
                file: reader.file.into(),
                tensor: entry.name,
                first,
                second: index,
            });
        }
        table.push(entry);
    }
    Ok(table)
}

/// Gives each entry its bytes of `data`, which begins at the first byte of tensor data.
pub(crate) fn place(file: &Path, table: Vec<Entry>, data: &Bytes) -> Result<Vec<Tensor>> {
    check_overlaps(file, &table)?;
    let tensors = table.into_iter().map(|entry| {
        let range = entry
            .offset
            .checked_add(entry.n_bytes)
            .and_then(|end| Some(usize::try_from(entry.offset).ok()?..usize::try_from(end).ok()?));
        match range.and_then(|range| data.slice(range)) {
            Some(data) => Ok(Tensor {
                name: entry.name,
                shape: entry.shape,
                ty: entry.ty,
                part: 0,
                data,
            }),
            None => Err(Error::PastEnd {
                file: file.into(),
                tensor: entry.name,
                offset: entry.offset,
                needed: entry.n_bytes,
                available: data.len() as u64,
            }),
        }
    });
    tensors.collect()
}

fn check_overlaps(file: &Path, table: &[Entry]) -> Result<()> {
    let mut order: Vec<&Entry> = table.iter().collect();
    order.sort_by_key(|entry| entry.offset);
    for pair in order.windows(2) {
        let (first, next) = (pair[0], pair[1]);
        let end = first.offset.saturating_add(first.n_bytes);
        if end > next.offset {
            return Err(Error::Overlap {
                file: file.into(),
                tensor: first.name.clone(),
                end,
                next: next.name.clone(),
                start: next.offset,
            });
        }
    }
    Ok(())
}

fn read_shape(reader: &mut Reader<'_>, name: &str) -> Result<Vec<u64>> {
    let dims = reader.u32()?;
    let found = usize::try_from(dims).unwrap_or(usize::MAX);
    if found > MAX_DIMS {
        let (file, tensor) = (reader.file.into(), name.to_owned());
        return Err(Error::Dimensions {
            file,
            tensor,
            found,
            max: MAX_DIMS,
        });
    }
    let shape: Vec<u64> = (0..found).map(|_| reader.u64()).collect::<Result<_>>()?;
    // A scalar has no dimensions in some files.
    Ok(if shape.is_empty() { vec![1] } else { shape })
}

fn read_type(reader: &mut Reader<'_>, name: &str) -> Result<GgmlType> {
    let id = reader.u32()?;
    let (file, tensor) = (reader.file, name);
    GgmlType::from_id(id).ok_or_else(|| match ggml_type::removed(id) {
        Some(name) => Error::RemovedType {
            file: file.into(),
            tensor: tensor.into(),
            id,
            name,
        },
        None => Error::UnknownType {
            file: file.into(),
            tensor: tensor.into(),
            id,
            last: GgmlType::all().map(GgmlType::id).max().unwrap_or(0),
        },
    })
}

/// The shape in this machine's numbers, and the size of the tensor in bytes.
pub(crate) fn check_shape(
    file: &Path,
    name: &str,
    shape: &[u64],
    ty: GgmlType,
) -> Result<(Vec<usize>, u64)> {
    let tensor = || (file.to_path_buf(), name.to_owned());
    if shape.is_empty() || shape.len() > MAX_DIMS {
        let (file, tensor) = tensor();
        return Err(Error::Dimensions {
            file,
            tensor,
            found: shape.len(),
            max: MAX_DIMS,
        });
    }
    if let Some(index) = shape.iter().position(|&length| length == 0) {
        let (file, tensor) = tensor();
        return Err(Error::ZeroDimension {
            file,
            tensor,
            shape: shape.into(),
            index,
        });
    }
    let block = ty.block_len();
    if !shape[0].is_multiple_of(block as u64) {
        let (file, tensor) = tensor();
        return Err(Error::RowLength {
            file,
            tensor,
            ty: ty.name(),
            row: shape[0],
            block,
        });
    }
    size(shape, ty).ok_or_else(|| {
        let (file, tensor) = tensor();
        Error::TooLarge {
            file,
            tensor,
            shape: shape.into(),
            ty: ty.name(),
            max: i64::MAX as u64,
        }
    })
}

/// `None` if the shape or the size does not fit, with signed 64 bits as the outer bound: ggml and
/// operating systems count in them.
fn size(shape: &[u64], ty: GgmlType) -> Option<(Vec<usize>, u64)> {
    let dims = shape
        .iter()
        .map(|&length| usize::try_from(length).ok())
        .collect::<Option<_>>()?;
    let elements = shape
        .iter()
        .try_fold(1u64, |product, &length| product.checked_mul(length))?;
    let bytes = (elements / ty.block_len() as u64).checked_mul(ty.block_bytes() as u64)?;
    (elements.max(bytes) <= i64::MAX as u64).then_some((dims, bytes))
}
