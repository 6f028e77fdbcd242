//! Metadata values and their types.

use std::fmt;

use crate::array::Array;
use crate::bytes::Str;

/// The type of a metadata value or of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    const ALL: [ValueType; 13] = [
        ValueType::U8,
        ValueType::I8,
        ValueType::U16,
        ValueType::I16,
        ValueType::U32,
        ValueType::I32,
        ValueType::F32,
        ValueType::Bool,
        ValueType::String,
        ValueType::Array,
        ValueType::U64,
        ValueType::I64,
        ValueType::F64,
    ];

    /// The type with this number in the file.
    pub fn from_id(id: u32) -> Option<ValueType> {
        ValueType::ALL.get(usize::try_from(id).ok()?).copied()
    }

    /// The number that names this type in a file.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// Such as `"u32"`.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::U8 => "u8",
            ValueType::I8 => "i8",
            ValueType::U16 => "u16",
            ValueType::I16 => "i16",
            ValueType::U32 => "u32",
            ValueType::I32 => "i32",
            ValueType::F32 => "f32",
            ValueType::Bool => "bool",
            ValueType::String => "string",
            ValueType::Array => "array",
            ValueType::U64 => "u64",
            ValueType::I64 => "i64",
            ValueType::F64 => "f64",
        }
    }

    /// Bytes of the smallest value: all there is to a number, the length of an empty string, the
    /// type and length of an empty array.
    pub(crate) fn min_bytes(self) -> usize {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
            ValueType::U16 | ValueType::I16 => 2,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
            ValueType::U64 | ValueType::I64 | ValueType::F64 | ValueType::String => 8,
            ValueType::Array => 12,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(Str),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// A number or a bool: what a [`Value`] holds directly and an [`Array`] holds in a row.
pub trait Scalar: Copy + Into<Value> + sealed::Sealed {
    /// Its type in a file.
    const TYPE: ValueType;
}

mod sealed {
    /// Arrays rely on `TYPE` being right.
    pub trait Sealed {}
}

macro_rules! scalars {
    ($($variant:ident $type:ty),*) => {
        $(
            impl sealed::Sealed for $type {}

            impl Scalar for $type {
                const TYPE: ValueType = ValueType::$variant;
            }

            impl From<$type> for Value {
                fn from(value: $type) -> Value {
                    Value::$variant(value)
                }
            }
        )*

        impl Value {
            /// Decodes a scalar; `None` if `bytes` are not those of a `ty`.
            pub(crate) fn decode(ty: ValueType, bytes: &[u8]) -> Option<Value> {
                match ty {
                    $(ValueType::$variant => {
                        Some(Value::$variant(<$type>::from_le_bytes(bytes.try_into().ok()?)))
                    })*
                    ValueType::Bool => match bytes {
                        [0] => Some(Value::Bool(false)),
                        [1] => Some(Value::Bool(true)),
                        _ => None,
                    },
                    ValueType::String | ValueType::Array => None,
                }
            }

            /// Appends the value as it is in a file, without its type.
            pub(crate) fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Value::$variant(value) => out.extend_from_slice(&value.to_le_bytes()),)*
                    Value::Bool(value) => out.push(u8::from(*value)),
                    Value::String(text) => {
                        out.extend_from_slice(&(text.as_bytes().len() as u64).to_le_bytes());
                        out.extend_from_slice(text.as_bytes());
                    }
                    Value::Array(array) => array.encode(out),
                }
            }

            /// Its type.
            pub fn value_type(&self) -> ValueType {
                match self {
                    $(Value::$variant(_) => ValueType::$variant,)*
                    Value::Bool(_) => ValueType::Bool,
                    Value::String(_) => ValueType::String,
                    Value::Array(_) => ValueType::Array,
                }
            }
        }
    };
}

scalars!(U8 u8, I8 i8, U16 u16, I16 i16, U32 u32, I32 i32, F32 f32, U64 u64, I64 i64, F64 f64);

impl sealed::Sealed for bool {}

impl Scalar for bool {
    const TYPE: ValueType = ValueType::Bool;
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Value {
        Value::String(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.into())
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Value {
        Value::Array(array)
    }
}

impl Value {
    /// The value of an integer of any width.
    pub fn as_integer(&self) -> Option<i128> {
        match *self {
            Value::U8(value) => Some(value.into()),
            Value::I8(value) => Some(value.into()),
            Value::U16(value) => Some(value.into()),
            Value::I16(value) => Some(value.into()),
            Value::U32(value) => Some(value.into()),
            Value::I32(value) => Some(value.into()),
            Value::U64(value) => Some(value.into()),
            Value::I64(value) => Some(value.into()),
            _ => None,
        }
    }

    /// The value of a float, or of an integer as the nearest float.
    pub fn as_float(&self) -> Option<f64> {
        match *self {
            Value::F32(value) => Some(value.into()),
            Value::F64(value) => Some(value),
            _ => self.as_integer().map(|value| value as f64),
        }
    }

    /// For error messages: the type, with the value of a scalar and the size of an array.
    pub(crate) fn describe(&self) -> String {
        let ty = self.value_type();
        match self {
            Value::Bool(value) => format!("{ty} {value}"),
            Value::String(text) if text.as_str().is_err() => format!("{ty} that is not UTF-8"),
            Value::String(_) => ty.to_string(),
            Value::Array(array) => format!("{ty} of {} {}", array.len(), array.element_type()),
            Value::F32(value) => format!("{ty} {value:?}"),
            Value::F64(value) => format!("{ty} {value:?}"),
            _ => format!("{ty} {}", self.as_integer().unwrap_or_default()),
        }
    }
}
