//! Tensors: the table in the file, checked.

use std::collections::HashMap;

use crate::bytes::Bytes;
use crate::error::{Checked, Problem};
use crate::ggml_type::{self, GgmlType};
use crate::reader::{Item, Reader};

/// The longest name, in bytes: ggml keeps names in 64 bytes, the last of them a zero.
pub(crate) const MAX_NAME: usize = 63;

/// The most dimensions.
pub(crate) const MAX_DIMS: usize = 4;

/// The largest tensor: ggml and operating systems count bytes in signed 64 bits.
const MAX_BYTES: u64 = i64::MAX as u64;

/// Bytes that every row of the table has: the length of the name, the number of dimensions, type,
/// offset.
const MIN_ENTRY: usize = 8 + 4 + 4 + 8;

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

/// The table: one entry per tensor, of different names.
pub(crate) fn read_table(
    reader: &mut Reader<'_>,
    count: u64,
    alignment: u64,
) -> Checked<Vec<Entry>> {
    reader.item = Item::Header;
    let count = reader.claim(count, "tensors", MIN_ENTRY)?;
    let mut table = Vec::new();
    let mut seen = HashMap::new();
    for second in 0..count {
        reader.item = Item::TensorName(second);
        let name = reader.name(MAX_NAME)?;
        if let Some(first) = seen.insert(name, second) {
            return Err(Problem::DuplicateTensor { tensor: name.into(), first, second });
        }
        reader.item = Item::Tensor(name.to_owned());
        table.push(read_entry(reader, name, alignment)?);
    }
    Ok(table)
}

fn read_entry(reader: &mut Reader<'_>, name: &str, alignment: u64) -> Checked<Entry> {
    let shape = read_shape(reader, name)?;
    let ty = known_type(reader.u32()?, name)?;
    let offset = reader.u64()?;
    if !offset.is_multiple_of(alignment) {
        return Err(Problem::Misaligned { tensor: name.into(), offset, alignment });
    }
    let (shape, n_bytes) = check_shape(name, &shape, ty)?;
    Ok(Entry { name: name.to_owned(), shape, ty, offset, n_bytes })
}

fn read_shape(reader: &mut Reader<'_>, name: &str) -> Checked<Vec<u64>> {
    let found = reader.u32()? as usize;
    if found > MAX_DIMS {
        return Err(Problem::Dimensions { tensor: name.into(), found, max: MAX_DIMS });
    }
    let shape: Vec<u64> = (0..found).map(|_| reader.u64()).collect::<Checked<_>>()?;
    // A scalar has no dimensions in some files.
    Ok(if shape.is_empty() { vec![1] } else { shape })
}

fn known_type(id: u32, name: &str) -> Checked<GgmlType> {
    let tensor = || name.to_owned();
    GgmlType::from_id(id).ok_or_else(|| match ggml_type::removed(id) {
        Some(name) => Problem::RemovedType { tensor: tensor(), id, name },
        None => {
            let last = GgmlType::all().map(GgmlType::id).max().unwrap_or(0);
            Problem::UnknownType { tensor: tensor(), id, last }
        }
    })
}

/// The shape in this machine's numbers, and the size of the tensor in bytes.
pub(crate) fn check_shape(name: &str, shape: &[u64], ty: GgmlType) -> Checked<(Vec<usize>, u64)> {
    let tensor = || name.to_owned();
    if shape.is_empty() || shape.len() > MAX_DIMS {
        return Err(Problem::Dimensions { tensor: tensor(), found: shape.len(), max: MAX_DIMS });
    }
    if shape.contains(&0) {
        return Err(Problem::ZeroDimension { tensor: tensor(), shape: shape.into() });
    }
    let (row, block) = (shape[0], ty.block_len());
    if !row.is_multiple_of(block as u64) {
        return Err(Problem::RowLength { tensor: tensor(), ty: ty.name(), row, block });
    }
    size(shape, ty).ok_or_else(|| Problem::TooLarge {
        tensor: tensor(),
        shape: shape.into(),
        ty: ty.name(),
        max: MAX_BYTES,
    })
}

/// `None` if the shape, the number of values or of bytes is too large.
fn size(shape: &[u64], ty: GgmlType) -> Option<(Vec<usize>, u64)> {
    let dims = shape.iter().map(|&length| usize::try_from(length).ok()).collect::<Option<_>>()?;
    let elements = shape.iter().try_fold(1u64, |product, &length| product.checked_mul(length))?;
    let bytes = (elements / ty.block_len() as u64).checked_mul(ty.block_bytes() as u64)?;
    (elements.max(bytes) <= MAX_BYTES).then_some((dims, bytes))
}

/// Gives each entry its bytes of `data`, which begins at the first byte of tensor data.
pub(crate) fn place(table: Vec<Entry>, data: &Bytes) -> Checked<Vec<Tensor>> {
    let tensors = table.into_iter().map(|entry| match bytes_of(&entry, data) {
        Some(data) => {
            let Entry { name, shape, ty, .. } = entry;
            Ok(Tensor { name, shape, ty, part: 0, data })
        }
        None => Err(Problem::PastEnd {
            tensor: entry.name,
            offset: entry.offset,
            needed: entry.n_bytes,
            available: data.len() as u64,
        }),
    });
    let tensors = tensors.collect::<Checked<Vec<_>>>()?;
    check_overlaps(&tensors)?;
    Ok(tensors)
}

fn bytes_of(entry: &Entry, data: &Bytes) -> Option<Bytes> {
    let end = entry.offset.checked_add(entry.n_bytes)?;
    data.slice(usize::try_from(entry.offset).ok()?..usize::try_from(end).ok()?)
}

fn check_overlaps(tensors: &[Tensor]) -> Checked<()> {
    let mut order: Vec<&Tensor> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.offset());
    for pair in order.windows(2) {
        let (end, start) = (pair[0].offset() + pair[0].n_bytes(), pair[1].offset());
        if end > start {
            let (tensor, next) = (pair[0].name.clone(), pair[1].name.clone());
            return Err(Problem::Overlap { tensor, end, next, start });
        }
    }
    Ok(())
}
