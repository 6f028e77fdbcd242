//! Files that must not open: always an error with the key or tensor and both numbers.

use farthing_gguf::{Gguf, Problem};

use crate::raw::{Raw, sample, string};

const F32: u32 = 0;
const I8: u32 = 24;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

#[track_caller]
fn refused(raw: Raw, wanted: &str) {
    let (_, message) = raw.problem();
    assert_eq!(message, format!("<memory>: {wanted}"));
}

/// The type and length that an array begins with.
fn array(ty: u32, len: u64) -> Vec<u8> {
    [ty.to_le_bytes().as_slice(), &len.to_le_bytes()].concat()
}

/// Sums of tensor sizes that wrap around 64 bits, so that all seem to fit.
#[test]
fn cve_2025_53630_sum_of_sizes_overflows() {
    let huge = 1u64 << 61;
    let raw = Raw::default()
        .tensor("a", &[huge], I8, 0)
        .tensor("b", &[huge], I8, huge)
        .tensor("c", &[huge], I8, huge * 7)
        .tensor("d", &[32], F32, u64::MAX - 31)
        .data(128);
    let (problem, message) = raw.problem();
    assert!(
        matches!(problem, Problem::PastEnd { ref tensor, offset: 0, needed, available: 128 }
            if tensor == "a" && needed == huge),
        "{message}"
    );
}

/// The end of a single tensor wraps around 64 bits.
#[test]
fn cve_2026_27940_offset_and_size_overflow() {
    let offset = u64::MAX - 31;
    let raw = Raw::default().tensor("a", &[64], I8, offset).data(128);
    refused(
        raw,
        &format!(
            "tensor \"a\" needs 64 bytes at offset {offset} of the tensor data, which has 128 bytes"
        ),
    );
}

/// Shapes of exabytes over a small file.
#[test]
fn cve_2026_33298_exabytes_over_a_small_file() {
    let raw = Raw::default().tensor("a", &[1 << 31, 1 << 30], F32, 0).data(64);
    refused(
        raw,
        "tensor \"a\" of shape [2147483648, 1073741824] and type F32 has more than \
         9223372036854775807 bytes",
    );
    let raw = Raw::default().tensor("a", &[1 << 32, 1 << 28], F32, 0).data(64);
    refused(
        raw,
        "tensor \"a\" needs 4611686018427387904 bytes at offset 0 of the tensor data, which has \
         64 bytes",
    );
}

#[test]
fn a_shape_may_not_overflow() {
    for shape in [[u64::MAX - 31, 2].as_slice(), &[1 << 32, 1 << 32], &[32, u64::MAX, u64::MAX, 2]]
    {
        let (problem, message) = Raw::default().tensor("a", shape, 2, 0).data(64).problem();
        assert!(matches!(problem, Problem::TooLarge { .. }), "{message}");
    }
}

#[test]
fn cut_anywhere_it_is_refused() {
    let whole = sample();
    let last = Gguf::from_bytes(whole.clone()).unwrap().tensor("last").unwrap().offset();
    for len in 0..=last {
        let error = Gguf::from_bytes(whole[..len].to_vec()).unwrap_err();
        assert!(
            matches!(
                error.problem,
                Problem::Truncated { .. } | Problem::Count { .. } | Problem::PastEnd { .. }
            ),
            "{len}: {error}"
        );
    }
    assert!(Gguf::from_bytes(whole[..=last].to_vec()).is_ok(), "padding at the end is not needed");
}

#[test]
fn a_cut_names_the_place_and_both_numbers() {
    let whole = Raw::default().entry("key", STRING, &string("value")).bytes();
    let cut = Gguf::from_bytes(whole[..whole.len() - 2].to_vec()).unwrap_err();
    assert_eq!(
        cut.to_string(),
        "<memory>: cut short: key \"key\" needs 5 bytes at offset 47, but 3 are left"
    );
    let empty = Gguf::from_bytes(Vec::new()).unwrap_err();
    assert_eq!(
        empty.to_string(),
        "<memory>: cut short: the header needs 4 bytes at offset 0, but 0 are left"
    );
}

#[test]
fn any_flipped_bit_is_an_error_or_another_file() {
    let whole = sample();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(gguf) = Gguf::from_bytes(bytes) {
            let total: usize = gguf.tensors().iter().map(|tensor| tensor.data().len()).sum();
            assert!(total <= whole.len(), "bit {bit}: {total}");
        }
    }
}

#[test]
fn other_formats_and_versions() {
    let open = |bytes: &[u8]| Gguf::from_bytes(bytes.to_vec()).unwrap_err().to_string();
    assert_eq!(
        open(b"<html><body>"),
        "<memory>: not a GGUF file: it begins with \"<htm\", not \"GGUF\""
    );
    refused(
        Raw { version: 1, ..Raw::default() },
        "GGUF version 1 is not supported, only versions 2 and 3 are",
    );
    refused(
        Raw { version: 4, ..Raw::default() },
        "GGUF version 4 is not supported, only versions 2 and 3 are",
    );
    refused(
        Raw { version: 3u32.swap_bytes(), ..Raw::default() },
        "a big-endian GGUF file (its version reads as 0x3000000, 3 in the other byte order); only \
         little-endian files are supported",
    );
}

#[test]
fn counts_beyond_the_file() {
    refused(
        Raw { tensor_count: u64::MAX, ..Raw::default() },
        "the header claims 18446744073709551615 tensors of at least 24 bytes each, but 0 bytes \
         are left",
    );
    refused(
        Raw { entry_count: 1 << 40, ..Raw::default() }.data(64),
        "the header claims 1099511627776 metadata entries of at least 13 bytes each, but 72 bytes \
         are left",
    );
    for (ty, each) in [(0, 1), (4, 4), (12, 8), (STRING, 8), (ARRAY, 12)] {
        for len in [4, 1 << 32, u64::MAX] {
            refused(
                Raw::default().entry("list", ARRAY, &array(ty, len)),
                &format!(
                    "key \"list\" claims {len} array elements of at least {each} bytes each, but \
                     0 bytes are left"
                ),
            );
        }
    }
    refused(
        Raw::default().entry("text", STRING, &u64::MAX.to_le_bytes()),
        "cut short: key \"text\" needs 18446744073709551615 bytes at offset 48, but 0 are left",
    );
}

#[test]
fn arrays_nested_too_deep() {
    let nest = |depth: usize| {
        let mut value = Vec::new();
        for _ in 1..depth {
            value.extend(array(ARRAY, 1));
        }
        value.extend(array(0, 0));
        Raw::default().entry("deep", ARRAY, &value)
    };
    assert!(nest(8).open().is_ok());
    refused(nest(9), "key \"deep\" nests arrays 9 deep, at most 8 are supported");
    refused(nest(100_000), "key \"deep\" nests arrays 9 deep, at most 8 are supported");
}

#[test]
fn values_that_are_none() {
    refused(
        Raw::default().entry("key", 13, &[0; 16]),
        "key \"key\" has the unknown value type 13, must be 0 to 12",
    );
    refused(
        Raw::default().entry("flag", 7, &[2]),
        "key \"flag\" holds 2 as a bool, must be 0 or 1",
    );
    refused(
        Raw::default().entry("flags", ARRAY, &[array(7, 3), vec![0, 1, 255]].concat()),
        "key \"flags\" holds 255 as a bool, must be 0 or 1",
    );
}

#[test]
fn keys_that_are_none() {
    refused(
        Raw::default().entry("a", 0, &[0]).entry("b", 0, &[0]).entry("a", 0, &[1]),
        "key \"a\" occurs twice, as entries 0 and 2",
    );
    refused(
        Raw::default().entry("", 0, &[0]),
        "the name of metadata entry 0 has 0 bytes, must have 1 to 65535",
    );
    refused(
        Raw::default().entry("x".repeat(65536), 0, &[0]),
        "the name of metadata entry 0 has 65536 bytes, must have 1 to 65535",
    );
    refused(
        Raw::default().entry(b"ab\xff", 0, &[0]),
        "the name of metadata entry 0 is not UTF-8 after 2 of its 3 bytes: \"ab\\xff\"",
    );
}

#[test]
fn alignments_that_are_none() {
    for found in [0, 1, 4, 24, u32::MAX] {
        refused(
            Raw::default().entry("general.alignment", 4, &found.to_le_bytes()),
            &format!("general.alignment is {found}, must be a power of two of at least 8"),
        );
    }
    refused(
        Raw::default().entry("general.alignment", STRING, &string("32")),
        "key \"general.alignment\" holds string, wanted u32",
    );
    let raw = Raw::default()
        .entry("general.alignment", 4, &(1u32 << 31).to_le_bytes())
        .tensor("a", &[1], I8, 0)
        .data(64);
    refused(raw, "tensor \"a\" needs 1 bytes at offset 0 of the tensor data, which has 0 bytes");
}

#[test]
fn names_of_tensors() {
    assert!(Raw::default().tensor("x".repeat(63), &[1], I8, 0).data(1).open().is_ok());
    refused(
        Raw::default().tensor("x".repeat(64), &[1], I8, 0).data(1),
        "the name of tensor 0 has 64 bytes, must have 1 to 63",
    );
    refused(
        Raw::default().tensor("", &[1], I8, 0).data(1),
        "the name of tensor 0 has 0 bytes, must have 1 to 63",
    );
    refused(
        Raw::default().tensor(b"\xf0\x9f", &[1], I8, 0).data(1),
        "the name of tensor 0 is not UTF-8 after 0 of its 2 bytes: \"\\xf0\\x9f\"",
    );
    refused(
        Raw::default().tensor("a", &[1], I8, 0).tensor("a", &[1], I8, 32).data(64),
        "tensor \"a\" occurs twice, as tensors 0 and 1",
    );
    refused(
        Raw::default().tensor("a\u{1b}[2J", &[1], I8, 1).data(64),
        "tensor \"a\\u{1b}[2J\" is at offset 1, must be a multiple of 32",
    );
}

#[test]
fn shapes_that_are_none() {
    refused(
        Raw::default().tensor("a", &[1; 5], I8, 0).data(1),
        "tensor \"a\" has 5 dimensions, must have 1 to 4",
    );
    refused(
        Raw::default().tensor("a", &[4, 0, 2], I8, 0).data(1),
        "tensor \"a\" of shape [4, 0, 2] has a dimension of 0, must be 1 or more",
    );
    refused(
        Raw::default().tensor("a", &[48, 2], 8, 0).data(256),
        "tensor \"a\" of type Q8_0 has rows of 48, must be a multiple of 32",
    );
}

#[test]
fn types_that_are_none() {
    refused(
        Raw::default().tensor("a", &[256], 36, 0).data(256),
        "tensor \"a\" has the removed type 36 (IQ4_NL_4_4); it must be quantized anew",
    );
    refused(
        Raw::default().tensor("a", &[256], 200, 0).data(256),
        "tensor \"a\" has the unknown type 200, the last known is 42",
    );
}

#[test]
fn places_that_are_none() {
    refused(
        Raw::default().tensor("a", &[16], I8, 48).data(64),
        "tensor \"a\" is at offset 48, must be a multiple of 32",
    );
    refused(
        Raw::default().tensor("a", &[33], I8, 32).data(64),
        "tensor \"a\" needs 33 bytes at offset 32 of the tensor data, which has 64 bytes",
    );
    let (problem, message) =
        Raw::default().tensor("b", &[16], I8, 32).tensor("a", &[33], I8, 0).data(64).problem();
    assert!(
        matches!(problem, Problem::Overlap { ref tensor, ref next, end, start }
            if tensor == "a" && next == "b" && end == start + 1),
        "{message}"
    );
}
