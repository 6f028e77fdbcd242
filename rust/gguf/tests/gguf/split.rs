//! Sets of split files.

use std::fs;
use std::path::{Path, PathBuf};

use farthing_gguf::{GgmlType, Gguf, Split, Writer};
use tempfile::TempDir;

/// A set of three parts with five tensors, the alignment not the default.
fn set() -> (TempDir, Vec<PathBuf>) {
    let dir = TempDir::new().unwrap();
    let paths = write(&dir.path().join("tiny.Q8.gguf"), Split::Tensors(2));
    (dir, paths)
}

fn write(path: &Path, split: Split) -> Vec<PathBuf> {
    let mut writer = Writer::new(path);
    writer.split(split);
    writer.metadata("general.alignment", 64u32).unwrap();
    writer.metadata("general.name", "tiny").unwrap();
    for (number, name) in (1u8..).zip(["a", "b", "c", "d", "e"]) {
        writer.tensor(name, &[100], GgmlType::I8, vec![number; 100]).unwrap();
    }
    writer.finish().unwrap()
}

#[track_caller]
fn refused(path: &Path, file: &Path, wanted: &str) {
    let error = Gguf::open(path).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: {wanted}", file.display()));
}

/// A part as a file of its own, with the given split keys.
fn write_part(path: &Path, no: u16, count: u16, tensors: i32, names: &[&str]) {
    let keys = [("split.no", 2, u64::from(no), 2), ("split.count", 2, u64::from(count), 2)];
    let tensors = ("split.tensors.count", 5, tensors as u64, 4);
    let mut raw = crate::raw::Raw::default();
    for (key, ty, value, bytes) in keys.into_iter().chain([tensors]) {
        raw = raw.entry(key, ty, &value.to_le_bytes()[..bytes]);
    }
    for (index, name) in (0u64..).zip(names) {
        raw = raw.tensor(name, &[32], GgmlType::I8.id(), index * 32);
    }
    fs::write(path, raw.data(32 * names.len()).bytes()).unwrap();
}

#[test]
fn any_part_opens_the_set() {
    let (dir, paths) = set();
    let names: Vec<_> = paths.iter().map(|path| path.strip_prefix(dir.path()).unwrap()).collect();
    assert_eq!(
        names,
        [
            Path::new("tiny.Q8-00001-of-00003.gguf"),
            Path::new("tiny.Q8-00002-of-00003.gguf"),
            Path::new("tiny.Q8-00003-of-00003.gguf"),
        ]
    );
    for path in &paths {
        let gguf = Gguf::open(path).unwrap();
        assert_eq!((gguf.parts(), gguf.path()), (paths.as_slice(), paths[0].as_path()));
        assert_eq!(gguf.metadata().str("general.name").unwrap(), "tiny");
        let tensors = gguf.tensors().iter().map(|t| (t.name.as_str(), t.part(), t.data()[0]));
        let wanted = [("a", 0, 1), ("b", 0, 2), ("c", 1, 3), ("d", 1, 4), ("e", 2, 5)];
        assert_eq!(tensors.collect::<Vec<_>>(), wanted);
        assert_eq!(gguf.tensor("d").unwrap().offset() % 64, 0);
    }
}

#[test]
fn parts_can_be_limited_in_bytes() {
    let dir = TempDir::new().unwrap();
    for (limit, wanted) in [(u64::MAX, 1), (500, 1), (499, 2), (200, 3), (1, 5)] {
        let paths = write(&dir.path().join("limited"), Split::Bytes(limit));
        assert_eq!(paths.len(), wanted, "{limit}");
        assert_eq!(Gguf::open(&paths[0]).unwrap().tensors().len(), 5);
    }
}

#[test]
fn a_missing_part_is_named() {
    let (_dir, paths) = set();
    fs::remove_file(&paths[1]).unwrap();
    let error = Gguf::open(&paths[2]).unwrap_err().to_string();
    let wanted = format!("{}: part 2 of 3 of a split file: ", paths[1].display());
    assert!(error.starts_with(&wanted), "{error}");
}

#[test]
fn a_renamed_part_is_refused() {
    let (dir, paths) = set();
    let other = dir.path().join("other.gguf");
    fs::rename(&paths[0], &other).unwrap();
    refused(
        &other,
        &other,
        "split.no is 0 and split.count 3, so the name should end in \"-00001-of-00003.gguf\"",
    );
}

#[test]
fn parts_must_belong_together() {
    let (dir, paths) = set();
    fs::copy(&paths[1], &paths[2]).unwrap();
    refused(
        &paths[0],
        &paths[2],
        &format!("split.no is 1, must be 2 as a part of the set of {}", paths[0].display()),
    );

    let other = write(&dir.path().join("pair"), Split::Tensors(3));
    fs::copy(&other[1], &paths[1]).unwrap();
    refused(
        &paths[0],
        &paths[1],
        &format!("split.count is 2, must be 3 as a part of the set of {}", paths[0].display()),
    );
}

#[test]
fn numbers_and_names_across_parts_are_checked() {
    let dir = TempDir::new().unwrap();
    let first = dir.path().join("set-00001-of-00002.gguf");
    let second = dir.path().join("set-00002-of-00002.gguf");
    write_part(&first, 0, 2, 3, &["a", "b"]);
    write_part(&second, 1, 2, 3, &["c"]);
    assert_eq!(Gguf::open(&second).unwrap().tensors().len(), 3);

    write_part(&second, 1, 2, 3, &["c", "d"]);
    refused(&first, &first, "split.tensors.count is 3, but the 2 parts hold 4 tensors");

    write_part(&second, 1, 2, 3, &["b"]);
    refused(&first, &second, &format!("tensor \"b\" is already in {}", first.display()));

    let beyond = dir.path().join("set-00003-of-00002.gguf");
    write_part(&beyond, 2, 2, 3, &["c"]);
    refused(&beyond, &beyond, "split.no is 2, must be less than split.count 2");
}

#[test]
fn a_set_needs_files() {
    let mut out = Vec::new();
    let mut writer = Writer::stream(&mut out);
    writer.split(Split::Tensors(1));
    let error = writer.finish().unwrap_err().to_string();
    let wanted = "a set of split files cannot be read from memory or written to a stream";
    assert_eq!(error, format!("<stream>: {wanted}"));
    let (_dir, paths) = set();
    let error = Gguf::from_bytes(fs::read(&paths[0]).unwrap()).unwrap_err().to_string();
    assert_eq!(error, format!("<memory>: {wanted}"));
}

#[test]
fn a_set_can_be_joined_by_copying() {
    let (dir, paths) = set();
    let set = Gguf::open(&paths[0]).unwrap();
    let whole = dir.path().join("whole.gguf");
    let mut writer = Writer::new(&whole);
    writer.copy_metadata(set.metadata()).unwrap();
    for tensor in set.tensors() {
        writer.tensor(&tensor.name, &tensor.shape, tensor.ty, tensor.data()).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), std::slice::from_ref(&whole));
    let whole = Gguf::open(&whole).unwrap();
    assert_eq!((whole.tensors().len(), whole.parts().len(), whole.alignment()), (5, 1, 64));
    assert!(whole.metadata().get("split.count").is_none());
}
