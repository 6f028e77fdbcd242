//! The types a tensor can have: one row each.

use std::fmt;

/// The type of a tensor's values: how many values a block holds and how many bytes it takes.
///
/// Knowing a type here means knowing its size; what its bytes mean is the kernels' matter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GgmlType {
    /// Index in `TYPES`.
    row: u8,
}

struct Row {
    id: u32,
    name: &'static str,
    block_len: usize,
    block_bytes: usize,
}

macro_rules! types {
    ($($name:ident $id:literal $block_len:literal $block_bytes:literal)*) => {
        const TYPES: &[Row] = &[
            $(Row {
                id: $id,
                name: stringify!($name),
                block_len: $block_len,
                block_bytes: $block_bytes,
            },)*
        ];

        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u8)]
        enum Index { $($name,)* }

        impl GgmlType {
            $(
                #[doc = concat!(
                    "Id ", $id, ": ", $block_bytes, " bytes per ", $block_len, " values."
                )]
                pub const $name: GgmlType = GgmlType { row: Index::$name as u8 };
            )*
        }
    };
}

// Name, id, values per block, bytes per block. Source: ggml.h and the block structs of
// ggml-common.h. The `gguf` Python package agrees but for Q8_1 (40 there, which is the struct of
// 2023, before its two f32 became f16) and Q2_0, which it lacks. Q8_1 and Q8_K are llama.cpp's
// activations and occur in no model.
types! {
    F32      0   1   4
    F16      1   1   2
    Q4_0     2  32  18
    Q4_1     3  32  20
    Q5_0     6  32  22
    Q5_1     7  32  24
    Q8_0     8  32  34
    Q8_1     9  32  36
    Q2_K    10 256  84
    Q3_K    11 256 110
    Q4_K    12 256 144
    Q5_K    13 256 176
    Q6_K    14 256 210
    Q8_K    15 256 292
    IQ2_XXS 16 256  66
    IQ2_XS  17 256  74
    IQ3_XXS 18 256  98
    IQ1_S   19 256  50
    IQ4_NL  20  32  18
    IQ3_S   21 256 110
    IQ2_S   22 256  82
    IQ4_XS  23 256 136
    I8      24   1   1
    I16     25   1   2
    I32     26   1   4
    I64     27   1   8
    F64     28   1   8
    IQ1_M   29 256  56
    BF16    30   1   2
    TQ1_0   34 256  54
    TQ2_0   35 256  66
    MXFP4   39  32  17
    NVFP4   40  64  36
    Q1_0    41 128  18
    Q2_0    42  64  18
}

/// Ids that once had a meaning and are refused by every current reader.
const REMOVED: &[(u32, &str)] = &[
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

/// The name of a type that was removed from the format.
pub(crate) fn removed(id: u32) -> Option<&'static str> {
    REMOVED.iter().find(|row| row.0 == id).map(|row| row.1)
}

impl GgmlType {
    fn find(matches: impl Fn(&Row) -> bool) -> Option<GgmlType> {
        let row = TYPES.iter().position(matches)?;
        Some(GgmlType { row: u8::try_from(row).ok()? })
    }

    fn row(self) -> &'static Row {
        &TYPES[usize::from(self.row)]
    }

    /// Every known type, in the order of their ids.
    pub fn all() -> impl Iterator<Item = GgmlType> {
        (0u8..).take(TYPES.len()).map(|row| GgmlType { row })
    }

    /// The type with this id in the file, or `None` if it is unknown or was removed.
    pub fn from_id(id: u32) -> Option<GgmlType> {
        GgmlType::find(|row| row.id == id)
    }

    /// The type with this name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<GgmlType> {
        GgmlType::find(|row| row.name.eq_ignore_ascii_case(name))
    }

    /// The number that names this type in a file.
    pub fn id(self) -> u32 {
        self.row().id
    }

    /// Such as `"Q4_K"`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Values per block; a tensor's first dimension is a multiple of it.
    pub fn block_len(self) -> usize {
        self.row().block_len
    }

    /// Bytes per block.
    pub fn block_bytes(self) -> usize {
        self.row().block_bytes
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_lead_back_to_their_type() {
        for ty in GgmlType::all() {
            assert_eq!(GgmlType::from_id(ty.id()), Some(ty));
            assert_eq!(GgmlType::from_name(&ty.name().to_lowercase()), Some(ty));
            assert_eq!(removed(ty.id()), None);
        }
    }

    #[test]
    fn every_id_up_to_the_last_is_known_or_removed() {
        for id in 0..=42 {
            assert!(GgmlType::from_id(id).is_some() != removed(id).is_some(), "{id}");
        }
        assert_eq!(GgmlType::from_id(43), None);
    }
}
