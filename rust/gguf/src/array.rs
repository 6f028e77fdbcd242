//! Arrays, kept as they are in the file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::bytes::{Bytes, Str};
use crate::value::{Scalar, Value, ValueType};

/// The places of one string in this many are noted; the others are found by walking on from there.
pub(crate) const NOTED: usize = 16;

/// An array of values of one type.
///
/// The elements stay encoded, usually in the mapped file; an array of strings adds a short list of
/// places in it. Cloning copies nothing.
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
    /// Where every string whose index is a multiple of `NOTED` begins, with its length.
    Strings(Arc<[usize]>),
    Arrays(Arc<[Array]>),
}

impl Array {
    /// Scalars in a row. `encoded` holds exactly `len` valid elements.
    pub(crate) fn fixed(element_type: ValueType, len: usize, encoded: Bytes) -> Array {
        Array { element_type, len, encoded, places: Places::Fixed }
    }

    /// Strings. `noted` are the places of every `NOTED`th in `encoded`, which holds exactly `len`.
    pub(crate) fn strings_at(len: usize, noted: Vec<usize>, encoded: Bytes) -> Array {
        Array {
            element_type: ValueType::String,
            len,
            encoded,
            places: Places::Strings(noted.into()),
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
        let mut noted = Vec::new();
        let mut len = 0;
        for item in items {
            let item = item.as_ref();
            if len % NOTED == 0 {
                noted.push(encoded.len());
            }
            encoded.extend_from_slice(&(item.len() as u64).to_le_bytes());
            encoded.extend_from_slice(item);
            len += 1;
        }
        Array::strings_at(len, noted, encoded.into())
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
            Places::Strings(noted) => {
                let text = self.text_at(noted, index)?;
                Some(Value::String(Str::new(self.encoded.slice(text)?)))
            }
            Places::Arrays(arrays) => arrays.get(index).cloned().map(Value::Array),
        }
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.len).map_while(|index| self.get(index))
    }

    /// The bytes of the string at `index`, without a copy; `None` past the end or if the elements
    /// are not strings.
    pub fn bytes_at(&self, index: usize) -> Option<&[u8]> {
        match &self.places {
            Places::Strings(noted) if index < self.len => {
                self.encoded.get(self.text_at(noted, index)?)
            }
            _ => None,
        }
    }

    /// The bytes of every string in order, without copies; `None` if the elements are not strings.
    pub fn bytes(&self) -> Option<impl ExactSizeIterator<Item = &[u8]> + '_> {
        let encoded: &[u8] = &self.encoded;
        let mut place = 0;
        matches!(self.places, Places::Strings(_)).then(|| {
            (0..self.len).map(move |_| {
                let text = text_after(encoded, place).unwrap_or_default();
                place = text.end;
                encoded.get(text).unwrap_or_default()
            })
        })
    }

    /// Where the text of a string lies; `index` is less than the length.
    fn text_at(&self, noted: &[usize], index: usize) -> Option<Range<usize>> {
        let mut text = text_after(&self.encoded, *noted.get(index / NOTED)?)?;
        for _ in 0..index % NOTED {
            text = text_after(&self.encoded, text.end)?;
        }
        Some(text)
    }

    /// Appends the element type, the length and the elements.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.element_type.id().to_le_bytes());
        out.extend_from_slice(&(self.len as u64).to_le_bytes());
        out.extend_from_slice(&self.encoded);
    }
}

/// Where the text lies whose length is at `place`.
fn text_after(encoded: &[u8], place: usize) -> Option<Range<usize>> {
    let start = place.checked_add(8)?;
    let length = u64::from_le_bytes(encoded.get(place..start)?.try_into().ok()?);
    Some(start..start.checked_add(usize::try_from(length).ok()?)?)
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
