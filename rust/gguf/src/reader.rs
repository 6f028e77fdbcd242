//! Reads numbers, strings and values from bytes, each checked against what is left.

use std::fmt;

use crate::array::{Array, NOTED};
use crate::bytes::{Bytes, Str};
use crate::error::{Checked, Problem};
use crate::value::{Value, ValueType};

/// Arrays within arrays beyond this depth are refused. (ggml refuses any.)
const MAX_DEPTH: usize = 8;

/// What is being read, for error messages.
pub(crate) enum Item {
    Header,
    KeyName(usize),
    Key(String),
    TensorName(usize),
    Tensor(String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Header => write!(f, "the header"),
            Item::KeyName(index) => write!(f, "the name of metadata entry {index}"),
            Item::Key(key) => write!(f, "key {key:?}"),
            Item::TensorName(index) => write!(f, "the name of tensor {index}"),
            Item::Tensor(name) => write!(f, "tensor {name:?}"),
        }
    }
}

/// A position in the bytes of a file.
pub(crate) struct Reader<'a> {
    /// Set by whoever reads the next part.
    pub(crate) item: Item,
    bytes: &'a Bytes,
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a Bytes) -> Reader<'a> {
        Reader { item: Item::Header, bytes, position: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The next `needed` bytes.
    pub(crate) fn take(&mut self, needed: u64) -> Checked<&'a [u8]> {
        let at = self.position;
        let end = usize::try_from(needed).ok().and_then(|needed| at.checked_add(needed));
        let found = end.and_then(|end| self.bytes.get(at..end)).ok_or_else(|| {
            Problem::Truncated { item: self.item.to_string(), at, needed, left: self.left() }
        })?;
        self.position += found.len();
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Checked<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(crate) fn u32(&mut self) -> Checked<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Checked<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Accepts a claim of `count` things to come only if that many can be left.
    pub(crate) fn claim(&self, count: u64, what: &'static str, each: usize) -> Checked<usize> {
        usize::try_from(count)
            .ok()
            .filter(|&count| count.checked_mul(each).is_some_and(|bytes| bytes <= self.left()))
            .ok_or_else(|| Problem::Count {
                item: self.item.to_string(),
                count,
                what,
                each,
                left: self.left(),
            })
    }

    fn string(&mut self) -> Checked<&'a [u8]> {
        let length = self.u64()?;
        self.take(length)
    }

    /// A string that names a key or a tensor: UTF-8 of 1 to `max` bytes.
    pub(crate) fn name(&mut self, max: usize) -> Checked<&'a str> {
        let bytes = self.string()?;
        let (item, len) = (|| self.item.to_string(), bytes.len());
        if bytes.is_empty() || len > max {
            return Err(Problem::NameLength { item: item(), len, max });
        }
        std::str::from_utf8(bytes).map_err(|error| {
            let valid = error.valid_up_to();
            Problem::NotUtf8 { item: item(), valid, len, text: excerpt(bytes) }
        })
    }

    pub(crate) fn value_type(&mut self) -> Checked<ValueType> {
        let found = self.u32()?;
        ValueType::from_id(found)
            .ok_or_else(|| Problem::ValueType { item: self.item.to_string(), found })
    }

    /// A value of this type.
    pub(crate) fn value(&mut self, ty: ValueType) -> Checked<Value> {
        match ty {
            ValueType::Array => self.array_value(1).map(Value::Array),
            ValueType::String => {
                let length = self.string()?.len();
                Ok(Value::String(Str::new(self.since(self.position - length))))
            }
            _ => {
                let bytes = self.take(ty.min_bytes() as u64)?;
                Value::decode(ty, bytes).ok_or_else(|| self.bad_bool(bytes))
            }
        }
    }

    fn array_value(&mut self, depth: usize) -> Checked<Array> {
        if depth > MAX_DEPTH {
            return Err(Problem::Depth { item: self.item.to_string(), depth, max: MAX_DEPTH });
        }
        let ty = self.value_type()?;
        let count = self.u64()?;
        let count = self.claim(count, "array elements", ty.min_bytes())?;
        let start = self.position;
        match ty {
            ValueType::String => {
                let mut noted = Vec::new();
                for index in 0..count {
                    if index % NOTED == 0 {
                        noted.push(self.position - start);
                    }
                    self.string()?;
                }
                Ok(Array::strings_at(count, noted, self.since(start)))
            }
            ValueType::Array => {
                // Not reserved: each of the nested levels may claim the rest of the file anew.
                let mut arrays = Vec::new();
                for _ in 0..count {
                    arrays.push(self.array_value(depth + 1)?);
                }
                Ok(Array::nested_in(arrays, self.since(start)))
            }
            _ => {
                let bytes = self.take((count * ty.min_bytes()) as u64)?;
                if ty == ValueType::Bool && bytes.iter().any(|&byte| byte > 1) {
                    return Err(self.bad_bool(bytes));
                }
                Ok(Array::fixed(ty, count, self.since(start)))
            }
        }
    }

    fn bad_bool(&self, bytes: &[u8]) -> Problem {
        let found = bytes.iter().copied().max().unwrap_or(0);
        Problem::Bool { item: self.item.to_string(), found }
    }

    /// What was read since `start`, as bytes that live on.
    fn since(&self, start: usize) -> Bytes {
        self.bytes.slice(start..self.position).unwrap_or_default()
    }
}

/// The first bytes of a text for an error message, escaped.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(32)].escape_ascii().to_string()
}
