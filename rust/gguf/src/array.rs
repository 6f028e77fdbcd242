//! Arrays, kept as they are in the file.

use std::fmt;
use std::sync::Arc;

use crate::bytes::{Bytes, Str};
use crate::value::{Scalar, Value, ValueType};

/// An array of values of one type.
///
/// The elements stay encoded, usually in the mapped file; an array of strings adds one list of
/// their positions. Cloning copies nothing.
#[derive(Clone)]
pub struct Array {
    element_type: ValueType,
    len: usize,
    /// The elements as they are in the file.
    encoded: Bytes,
    places: Places,
}

/// How to find an element in the encoded bytes.
#[derive(Clone)]
enum Places {
    /// All of one size.
    Fixed,
    /// Where the text of each string begins; its length is in the 8 bytes before.
    Strings(Arc<[usize]>),
    Arrays(Arc<[Array]>),
}

impl Array {
    /// Scalars in a row. `encoded` holds exactly `len` valid elements.
    pub(crate) fn fixed(element_type: ValueType, len: usize, encoded: Bytes) -> Array {
        Array {
            element_type,
            len,
            encoded,
            places: Places::Fixed,
        }
    }

    /// Strings. `starts` are positions in `encoded` of texts that lie within it, each after its
    /// length.
    pub(crate) fn strings_at(starts: Vec<usize>, encoded: Bytes) -> Array {
        Array {
            element_type: ValueType::String,
            len: starts.len(),
            encoded,
            places: Places::Strings(starts.into()),
        }
    }

    /// Arrays, which `encoded` holds one after the other.
    pub(crate) fn nested_in(arrays: Vec<Array>, encoded: Bytes) -> Array {
        Array {
            element_type: ValueType::Array,
            len: arrays.len(),
            encoded,
            places: Places::Arrays(arrays.into()),
        }
    }

    /// An array of strings, or of any bytes.
    pub fn strings<S: AsRef<[u8]>>(items: impl IntoIterator<Item = S>) -> Array {
        let mut encoded = Vec::new();
        let mut starts = Vec::new();
        for item in items {
            let item = item.as_ref();
            encoded.extend_from_slice(&(item.len() as u64).to_le_bytes());
            starts.push(encoded.len());
            encoded.extend_from_slice(item);
        }
        Array::strings_at(starts, encoded.into())
    }

    /// An array of arrays.
    pub fn nested(arrays: Vec<Array>) -> Array {
        let mut encoded = Vec::new();
        for array in &arrays {
            array.encode(&mut encoded);
        }
        Array::nested_in(arrays, encoded.into())
    }

    /// The type of every element.
    pub fn element_type(&self) -> ValueType {
        self.element_type
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<Value> {
        if index >= self.len {
            return None;
        }
        match &self.places {
            Places::Fixed => {
                let size = self.element_type.min_bytes();
                let start = index * size;
                Value::decode(self.element_type, self.encoded.get(start..start + size)?)
            }
            Places::Strings(_) => {
                let start = self.start_of(index)?;
                let end = start + self.bytes_at(index)?.len();
                Some(Value::String(Str::new(self.encoded.slice(start..end)?)))
            }
            Places::Arrays(arrays) => arrays.get(index).cloned().map(Value::Array),
        }
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.len).map_while(|index| self.get(index))
    }

    fn start_of(&self, index: usize) -> Option<usize> {
        match &self.places {
            Places::Strings(starts) => starts.get(index).copied(),
            _ => None,
        }
    }

    /// The bytes of the string at `index`, without a copy; `None` past the end or if the elements
    /// are not strings.
    pub fn bytes_at(&self, index: usize) -> Option<&[u8]> {
        let start = self.start_of(index)?;
        let (length, text) = (
            self.encoded.get(start - 8..start)?,
            self.encoded.get(start..)?,
        );
        let length = u64::from_le_bytes(length.try_into().ok()?);
        text.get(..usize::try_from(length).ok()?)
    }

    /// The bytes of every string in order, without copies; `None` if the elements are not strings.
    pub fn bytes(&self) -> Option<impl ExactSizeIterator<Item = &[u8]> + '_> {
        match self.places {
            Places::Strings(_) => {
                Some((0..self.len).map(|index| self.bytes_at(index).unwrap_or_default()))
            }
            _ => None,
        }
    }

    /// Appends the element type, the length and the elements.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.element_type.id().to_le_bytes());
        out.extend_from_slice(&(self.len as u64).to_le_bytes());
        out.extend_from_slice(&self.encoded);
    }
}

impl<T: Scalar> FromIterator<T> for Array {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Array {
        let mut encoded = Vec::new();
        let mut len = 0;
        for item in items {
            let value: Value = item.into();
            value.encode(&mut encoded);
            len += 1;
        }
        Array::fixed(T::TYPE, len, encoded.into())
    }
}

impl PartialEq for Array {
    fn eq(&self, other: &Array) -> bool {
        self.element_type == other.element_type
            && self.len == other.len
            && self.encoded == other.encoded
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array({} {})", self.len, self.element_type)
    }
}
