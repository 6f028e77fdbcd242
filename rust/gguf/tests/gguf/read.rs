//! What a good file gives.

use farthing_gguf::{Array, GgmlType, Gguf, Value, ValueType};

use crate::raw::{Raw, sample, string, values};

#[test]
fn everything_in_a_file_is_there() {
    let gguf = Gguf::from_bytes(sample()).unwrap();
    assert_eq!((gguf.version(), gguf.alignment()), (3, 32));
    assert_eq!(gguf.parts(), [gguf.path()]);
    let found: Vec<_> = gguf.metadata().iter().map(|(k, v)| (k.to_owned(), v.clone())).collect();
    let wanted: Vec<_> = values().into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    assert_eq!(found, wanted);

    let names: Vec<_> = gguf.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["ones", "blocks", "last"]);
    let blocks = gguf.tensor("blocks").unwrap();
    assert_eq!((blocks.shape.as_slice(), blocks.ty), ([64, 1, 2].as_slice(), GgmlType::Q4_0));
    assert_eq!((blocks.n_elements(), blocks.n_bytes()), (128, 72));
    assert_eq!(*blocks.data(), [7; 72]);
    assert!(gguf.tensor("one").is_none());
}

#[test]
fn data_outlives_the_file_and_is_aligned() {
    let gguf = Gguf::from_bytes(sample()).unwrap();
    let all: Vec<_> = gguf.tensors().iter().map(|tensor| tensor.data()).collect();
    let words = gguf.metadata().array("words").unwrap().clone();
    drop(gguf);
    assert!(all.iter().all(|data| data.as_ptr().addr().is_multiple_of(32)));
    assert_eq!(*all[2], [9]);
    assert_eq!(words.bytes_at(1), Some(b"a".as_slice()));
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<(Gguf, farthing_gguf::Tensor, farthing_gguf::Bytes, Value)>();
}

#[test]
fn arrays_give_their_elements() {
    let gguf = Gguf::from_bytes(sample()).unwrap();
    let nested = gguf.metadata().array("nested").unwrap();
    assert_eq!((nested.element_type(), nested.len()), (ValueType::Array, 3));
    let Some(Value::Array(words)) = nested.get(0) else { panic!("an array of words") };
    let texts: Vec<_> = words.bytes().unwrap().collect();
    assert_eq!(texts, [b"".as_slice(), b"a", "\u{2581}the".as_bytes(), b"<0x0A>"]);
    assert_eq!(words.get(1), Some("a".into()));
    assert_eq!((words.get(4), words.bytes_at(4)), (None, None));
    assert_eq!(nested.get(1), Some(Array::from_iter([1u16, 2, 3]).into()));
    assert!(nested.bytes().is_none());
    assert!(matches!(nested.get(2), Some(Value::Array(empty)) if empty.is_empty()));
}

#[test]
fn strings_are_found_at_any_index() {
    let texts: Vec<String> = (0..100).map(|index| "x".repeat(index * 7 % 5)).collect();
    let written = Array::strings(&texts);
    let raw = Raw::default().entry(
        "texts",
        9,
        &[
            8u32.to_le_bytes().to_vec(),
            100u64.to_le_bytes().to_vec(),
            texts.iter().flat_map(string).collect(),
        ]
        .concat(),
    );
    let gguf = raw.open().unwrap();
    let read = gguf.metadata().array("texts").unwrap();
    assert_eq!(*read, written);
    for array in [read, &written] {
        assert!(array.bytes().unwrap().eq(texts.iter().map(String::as_bytes)));
        for (index, text) in texts.iter().enumerate() {
            assert_eq!(array.bytes_at(index), Some(text.as_bytes()));
            assert_eq!(array.get(index), Some(text.as_str().into()));
        }
        assert_eq!(array.bytes_at(100), None);
    }
}

#[test]
fn getters_convert_numbers_in_range() {
    let gguf = Gguf::from_bytes(sample()).unwrap();
    let metadata = gguf.metadata();
    assert_eq!(metadata.u32("u8").unwrap(), 255);
    assert_eq!(metadata.i32("i8").unwrap(), -128);
    assert_eq!(metadata.usize("u32").unwrap(), u32::MAX as usize);
    assert_eq!(metadata.u64("u64").unwrap(), u64::MAX);
    assert_eq!(metadata.f64("f32").unwrap(), f64::from(1e-6f32));
    assert_eq!(metadata.f32("f64").unwrap(), 0.1);
    assert_eq!(metadata.f32("u16").unwrap(), 65535.0);
    assert!(metadata.bool("bool").unwrap());
    assert_eq!(metadata.str("general.architecture").unwrap(), "llama");
    assert_eq!(metadata.u32s("numbers").unwrap(), [1, 2, 3]);
    assert_eq!(metadata.f32s("numbers").unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(metadata.bools("flags").unwrap(), [true, false]);
    assert_eq!(metadata.strs("words").unwrap()[2], "\u{2581}the");
    assert_eq!(metadata.opt_u32("missing").unwrap(), None);
}

#[test]
fn getters_name_the_key_and_both_types() {
    let gguf = Gguf::from_bytes(sample()).unwrap();
    let metadata = gguf.metadata();
    let messages = [
        (metadata.u32("missing").unwrap_err(), "key \"missing\" is missing, wanted u32"),
        (metadata.opt_u32("i32").unwrap_err(), "key \"i32\" holds i32 -2147483648, wanted u32"),
        (
            metadata.i64("u64").unwrap_err(),
            "key \"u64\" holds u64 18446744073709551615, wanted i64",
        ),
        (metadata.u32("f32").unwrap_err(), "key \"f32\" holds f32 1e-6, wanted u32"),
        (metadata.bool("u8").unwrap_err(), "key \"u8\" holds u8 255, wanted bool"),
        (metadata.f32("bool").unwrap_err(), "key \"bool\" holds bool true, wanted f32"),
        (
            metadata.str("words").unwrap_err(),
            "key \"words\" holds array of 4 string, wanted string of UTF-8",
        ),
        (
            metadata.u32s("words").unwrap_err(),
            "key \"words\" holds array of 4 string, wanted array of u32",
        ),
    ];
    for (error, wanted) in messages {
        assert_eq!(error.to_string(), format!("<memory>: {wanted}"));
    }
}

#[test]
fn strings_may_be_any_bytes() {
    let raw = Raw::default().entry("text", 8, &string(b"a\xff"));
    let gguf = raw.open().unwrap();
    let text = gguf.metadata().bytes("text").unwrap();
    assert_eq!(
        (text.as_bytes(), text.to_string_lossy().as_ref()),
        (b"a\xff".as_slice(), "a\u{fffd}")
    );
    let message = gguf.metadata().str("text").unwrap_err().to_string();
    assert!(message.contains("\"text\" holds string that is not UTF-8"), "{message}");
}

#[test]
fn version_2_has_the_same_layout() {
    let mut bytes = sample();
    bytes[4] = 2;
    let gguf = Gguf::from_bytes(bytes).unwrap();
    assert_eq!((gguf.version(), gguf.tensors().len()), (2, 3));
}

#[test]
fn tensors_lie_at_the_files_alignment() {
    let raw = Raw { alignment: 128, ..Raw::default() }
        .entry("general.alignment", 4, &128u32.to_le_bytes())
        .tensor("first", &[4], 0, 0)
        .tensor("second", &[4], 0, 128)
        .data(144);
    let gguf = raw.open().unwrap();
    assert_eq!(gguf.alignment(), 128);
    assert_eq!(gguf.tensor("second").unwrap().data()[0], 128);
}

#[test]
fn tensors_may_be_in_any_order_and_leave_gaps() {
    let raw = Raw::default().tensor("b", &[4], 0, 64).tensor("a", &[], 24, 0).data(80);
    let gguf = raw.open().unwrap();
    assert_eq!(gguf.tensors()[0].data()[0], 64);
    assert_eq!(
        (gguf.tensors()[1].shape.as_slice(), gguf.tensors()[1].n_bytes()),
        ([1].as_slice(), 1)
    );
}

#[test]
fn a_file_without_tensors_may_end_anywhere_after_its_header() {
    let raw = Raw::default().entry("key", 0, &[1]);
    let header = raw.bytes();
    for padding in 0..40 {
        let bytes = [header.as_slice(), &vec![0; padding]].concat();
        assert_eq!(Gguf::from_bytes(bytes).unwrap().metadata().u32("key").unwrap(), 1);
    }
}
