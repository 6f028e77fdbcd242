//! Published files: they are in the folder `FARTHING_TEST_DATA`, else `../shared/data`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use farthing_gguf::{GgmlType, Gguf, ValueType};

/// Every GGUF file below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let found = paths.flat_map(|path| match path.is_dir() {
        true => below(&path),
        false => vec![path],
    });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "gguf")).collect()
}

/// The files, or none with a word on the standard error.
fn files(folder: &str) -> Vec<PathBuf> {
    let data = match std::env::var_os("FARTHING_TEST_DATA") {
        Some(data) => data.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let found = below(&data.join(folder));
    if found.is_empty() {
        eprintln!("skipped: no test data in {}", data.join(folder).display());
    }
    found
}

#[test]
fn every_model_opens_and_ends_with_its_last_tensor() {
    for path in files("models") {
        let gguf = Gguf::open(&path).unwrap();
        assert!(gguf.metadata().str("general.architecture").is_ok(), "{}", path.display());
        let ends = gguf.tensors().iter().map(|tensor| tensor.offset() + tensor.n_bytes());
        let len = fs::metadata(&path).unwrap().len();
        assert_eq!(ends.max(), Some(len as usize), "{}", path.display());
    }
}

#[test]
fn every_vocabulary_opens() {
    for path in files("vocab") {
        let gguf = Gguf::open(&path).unwrap();
        assert!(gguf.tensors().is_empty());
        let tokens = gguf.metadata().array("tokenizer.ggml.tokens").unwrap();
        assert_eq!(tokens.element_type(), ValueType::String);
        let types = gguf.metadata().i32s("tokenizer.ggml.token_type").unwrap();
        assert_eq!(tokens.bytes().unwrap().len(), types.len(), "{}", path.display());
    }
}

/// How long this thread has computed, without the time that other programs took, where the system tells.
fn computing_time() -> Duration {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split(' ').next().and_then(|number| number.parse().ok());
    nanoseconds.map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

#[test]
fn a_large_vocabulary_opens_at_once() {
    let Some(path) =
        files("vocab").into_iter().find(|path| path.ends_with("ggml-vocab-gemma-4.gguf"))
    else {
        return;
    };
    let open = || {
        let start = computing_time();
        Gguf::open(&path).unwrap();
        computing_time() - start
    };
    let best = (0..5).map(|_| open()).min().unwrap();
    assert!(
        best < Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 50 }),
        "{best:?}"
    );
}

#[test]
fn quantized_models_hold_the_types_they_are_named_after() {
    for path in files("models/quant") {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let name = stem.rsplit_once('-').unwrap().1;
        let gguf = Gguf::open(&path).unwrap();
        let base = GgmlType::from_name(name.trim_end_matches("_s").trim_end_matches("_m"));
        let base = base.unwrap_or_else(|| panic!("{name}"));
        assert!(gguf.tensors().iter().any(|tensor| tensor.ty == base), "{}", path.display());
    }
}
