//! What the writer refuses, and what it leaves behind.

use std::fs::{self, OpenOptions};
use std::io;

use farthing_gguf::{Error, GgmlType, Gguf, Problem, TensorData, Writer};
use tempfile::TempDir;

#[track_caller]
fn refused<T>(result: Result<T, Error>, wanted: &str) {
    let Err(error) = result else { panic!("must be refused: {wanted}") };
    assert_eq!(error.to_string(), format!("<stream>: {wanted}"));
}

#[test]
fn wrong_metadata_is_refused() {
    let mut writer = Writer::stream(io::sink());
    writer.metadata("a", 1u8).unwrap();
    refused(writer.metadata("a", 2u8), "key \"a\" occurs twice, as entries 0 and 1");
    refused(writer.metadata("", 2u8), "key \"\" has 0 bytes, must have 1 to 65535");
    refused(
        writer.metadata("general.alignment", 48u32),
        "general.alignment is 48, must be a power of two of at least 8",
    );
    refused(
        writer.metadata("general.alignment", 32u64),
        "key \"general.alignment\" holds u64 32, wanted u32",
    );
    refused(writer.metadata("split.no", 0u16), "key \"split.no\" is written by the writer itself");
}

#[test]
fn wrong_tensors_are_refused() {
    let mut writer = Writer::stream(io::sink());
    writer.tensor("a", &[2], GgmlType::F32, vec![0; 8]).unwrap();
    refused(
        writer.tensor("a", &[2], GgmlType::F32, vec![0; 8]),
        "tensor \"a\" occurs twice, as tensors 0 and 1",
    );
    refused(
        writer.tensor("b", &[3], GgmlType::F32, vec![0; 8]),
        "tensor \"b\" of shape [3] and type F32 takes 12 bytes, but 8 were given",
    );
    refused(
        writer.tensor("b", &[33], GgmlType::Q8_0, vec![0; 34]),
        "tensor \"b\" of type Q8_0 has rows of 33, must be a multiple of 32",
    );
    refused(
        writer.tensor("b", &[], GgmlType::F32, vec![0; 4]),
        "tensor \"b\" has 0 dimensions, must have 1 to 4",
    );
    refused(
        writer.tensor("b", &[usize::MAX], GgmlType::F32, Vec::new()),
        "tensor \"b\" of shape [18446744073709551615] and type F32 has more than \
         9223372036854775807 bytes",
    );
    let name = "x".repeat(64);
    refused(
        writer.tensor(&name, &[1], GgmlType::I8, vec![0]),
        &format!("tensor name \"{name}\" has 64 bytes, must have 1 to 63"),
    );
}

#[test]
fn tensors_can_be_written_by_functions() {
    let mut out = Vec::new();
    let mut writer = Writer::stream(&mut out);
    let pieces = TensorData::stream(|out| {
        out.write_all(&[1; 40])?;
        out.write_all(&[2; 60])
    });
    writer.tensor("pieces", &[100], GgmlType::I8, pieces).unwrap();
    writer.tensor("slice", &[3], GgmlType::I8, [7u8, 8, 9].as_slice()).unwrap();
    writer.finish().unwrap();
    let gguf = Gguf::from_bytes(out).unwrap();
    assert_eq!(gguf.tensors()[0].data()[39..41], [1, 2]);
    assert_eq!(*gguf.tensors()[1].data(), [7, 8, 9]);
}

#[test]
fn functions_must_write_the_right_number_of_bytes() {
    for given in [0, 99, 101] {
        let mut writer = Writer::stream(io::sink());
        let data = TensorData::stream(move |out| out.write_all(&vec![0; given]));
        writer.tensor("a", &[100], GgmlType::I8, data).unwrap();
        refused(
            writer.finish(),
            &format!(
                "tensor \"a\" of shape [100] and type I8 takes 100 bytes, but {given} were given"
            ),
        );
    }
}

#[test]
fn a_failure_leaves_the_old_file_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("model.gguf");
    fs::write(&path, "old").unwrap();
    let mut writer = Writer::new(&path);
    let data = TensorData::stream(|_| Err(io::Error::other("the source is gone")));
    writer.tensor("a", &[1], GgmlType::I8, data).unwrap();
    let error = writer.finish().unwrap_err();
    assert_eq!(error.to_string(), format!("{}: the source is gone", path.display()));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn a_failed_part_takes_the_others_with_it() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::new(dir.path().join("model.gguf"));
    writer.split(farthing_gguf::Split::Tensors(1));
    writer.tensor("a", &[1], GgmlType::I8, vec![0]).unwrap();
    let data = TensorData::stream(|_| Err(io::Error::other("the source is gone")));
    writer.tensor("b", &[1], GgmlType::I8, data).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(error.file.ends_with("model-00002-of-00002.gguf"), "{error}");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn an_open_file_can_be_rewritten() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("model.gguf");
    for _ in 0..2 {
        let old = Gguf::open(&path).ok();
        let mut writer = Writer::new(&path);
        match old.as_ref().and_then(|old| old.tensor("a")) {
            Some(tensor) => writer.tensor("a", &[2], tensor.ty, tensor.data()).unwrap(),
            None => writer.tensor("a", &[2], GgmlType::I8, vec![4, 2]).unwrap(),
        };
        writer.finish().unwrap();
    }
    assert_eq!(*Gguf::open(&path).unwrap().tensors()[0].data(), [4, 2]);
}

#[test]
fn what_is_no_file_is_refused() {
    let dir = TempDir::new().unwrap();
    let error = Gguf::open(dir.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: not a regular file", dir.path().display()));
    let error = Gguf::open(dir.path().join("none.gguf")).unwrap_err();
    assert!(matches!(error.problem, Problem::Io(ref io) if io.kind() == io::ErrorKind::NotFound));
    let error = Writer::new(dir.path().join("none/model.gguf")).finish().unwrap_err();
    assert!(error.file.ends_with("none/model.gguf"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut writer = Writer::stream(io::BufWriter::new(full));
    writer.metadata("a", 1u8).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(
        matches!(error.problem, Problem::Io(ref io) if io.kind() == io::ErrorKind::StorageFull),
        "{error}"
    );
}
