//! The metadata of a file: keys and values in order, with typed access.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::array::Array;
use crate::bytes::Str;
use crate::error::{Checked, Error, Problem, Result};
use crate::reader::{Item, Reader};
use crate::value::Value;

/// The longest key. Source: the format's specification.
pub(crate) const MAX_KEY: usize = 65535;

/// Bytes that every entry has: the length of its key, its type, a value of one byte.
const MIN_ENTRY: usize = 8 + 4 + 1;

/// The keys and values of a file, in the file's order.
///
/// The typed getters come in pairs: `u32(key)` fails if the key is missing, `opt_u32(key)` then
/// gives `None`. Both fail if the value is of another kind or out of range, with an error that
/// names the file, the key, what was found and what was wanted. Integers of any width convert, as
/// writers disagree about them.
#[derive(Clone, Debug)]
pub struct Metadata {
    file: PathBuf,
    entries: Vec<(String, Value)>,
    index: HashMap<String, usize>,
}

impl Metadata {
    /// Fails if a key occurs twice.
    pub(crate) fn new(file: &Path, entries: Vec<(String, Value)>) -> Checked<Metadata> {
        let mut index = HashMap::new();
        for (second, (key, _)) in entries.iter().enumerate() {
            if let Some(first) = index.insert(key.clone(), second) {
                return Err(Problem::DuplicateKey { key: key.clone(), first, second });
            }
        }
        Ok(Metadata { file: file.into(), entries, index })
    }

    /// The file that these were read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let index = *self.index.get(key)?;
        self.entries.get(index).map(|entry| &entry.1)
    }

    /// Keys and values in the file's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a key as a `T`, or `None` if the key is missing.
    pub fn opt<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match T::from_value(value) {
            Some(value) => Ok(Some(value)),
            None => {
                let (key, found, wanted) = (key.to_owned(), value.describe(), T::WANTED);
                Err(Error::at(&self.file)(Problem::WrongType { key, found, wanted }))
            }
        }
    }

    /// The value of a key as a `T`; fails if the key is missing.
    pub fn require<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T> {
        self.opt(key)?.ok_or_else(|| {
            let (key, wanted) = (key.to_owned(), T::WANTED);
            Error::at(&self.file)(Problem::MissingKey { key, wanted })
        })
    }
}

/// Reads `count` entries.
pub(crate) fn read_entries(reader: &mut Reader<'_>, count: u64) -> Checked<Vec<(String, Value)>> {
    let count = reader.claim(count, "metadata entries", MIN_ENTRY)?;
    let mut entries = Vec::new();
    for number in 0..count {
        reader.item = Item::KeyName(number);
        let key = reader.name(MAX_KEY)?.to_owned();
        reader.item = Item::Key(key.clone());
        let ty = reader.value_type()?;
        entries.push((key, reader.value(ty)?));
    }
    Ok(entries)
}

/// What a metadata value can be taken as.
pub trait FromValue<'a>: Sized {
    /// Its name in error messages.
    const WANTED: &'static str;

    /// The value, unless it is of another kind or out of range.
    fn from_value(value: &'a Value) -> Option<Self>;
}

macro_rules! getters {
    ($($name:ident $opt:ident $type:ty: $wanted:literal, $what:literal, $from:expr;)*) => {
        $(
            impl<'a> FromValue<'a> for $type {
                const WANTED: &'static str = $wanted;

                fn from_value(value: &'a Value) -> Option<Self> {
                    let from: fn(&'a Value) -> Option<Self> = $from;
                    from(value)
                }
            }
        )*

        // Some of the types borrow from the metadata, most do not.
        #[allow(clippy::needless_lifetimes)]
        impl Metadata {
            $(
                #[doc = concat!($what, "; fails if the key is missing.")]
                pub fn $name<'a>(&'a self, key: &str) -> Result<$type> {
                    self.require(key)
                }

                #[doc = concat!($what, ", or `None` if the key is missing.")]
                pub fn $opt<'a>(&'a self, key: &str) -> Result<Option<$type>> {
                    self.opt(key)
                }
            )*
        }
    };
}

fn integer<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    value.as_integer().and_then(|value| T::try_from(value).ok())
}

/// Fails where an f64 is finite but beyond f32.
fn float(value: &Value) -> Option<f32> {
    let wide = value.as_float()?;
    let narrow = wide as f32;
    (narrow.is_finite() || !wide.is_finite()).then_some(narrow)
}

fn list<T: for<'b> FromValue<'b>>(value: &Value) -> Option<Vec<T>> {
    match value {
        Value::Array(array) => array.iter().map(|value| T::from_value(&value)).collect(),
        _ => None,
    }
}

getters! {
    u32 opt_u32 u32: "u32", "An integer", integer;
    i32 opt_i32 i32: "i32", "An integer", integer;
    u64 opt_u64 u64: "u64", "An integer", integer;
    i64 opt_i64 i64: "i64", "An integer", integer;
    usize opt_usize usize: "usize", "An integer", integer;
    f32 opt_f32 f32: "f32", "A float or an integer", float;
    f64 opt_f64 f64: "f64", "A float or an integer", Value::as_float;
    bool opt_bool bool: "bool", "A bool", |value| match value {
        Value::Bool(value) => Some(*value),
        _ => None,
    };
    str opt_str &'a str: "string of UTF-8", "A string of UTF-8", |value| match value {
        Value::String(text) => text.as_str().ok(),
        _ => None,
    };
    bytes opt_bytes &'a Str: "string", "A string of any bytes", |value| match value {
        Value::String(text) => Some(text),
        _ => None,
    };
    array opt_array &'a Array: "array", "An array", |value| match value {
        Value::Array(array) => Some(array),
        _ => None,
    };
    u32s opt_u32s Vec<u32>: "array of u32", "An array of integers", list;
    i32s opt_i32s Vec<i32>: "array of i32", "An array of integers", list;
    f32s opt_f32s Vec<f32>: "array of f32", "An array of floats or integers", list;
    bools opt_bools Vec<bool>: "array of bool", "An array of bools", list;
    strs opt_strs Vec<&'a str>: "array of strings of UTF-8", "An array of strings of UTF-8",
        |value| match value {
            Value::Array(array) => {
                array.bytes()?.map(|bytes| std::str::from_utf8(bytes).ok()).collect()
            }
            _ => None,
        };
}
