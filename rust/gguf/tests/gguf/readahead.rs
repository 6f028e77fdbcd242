//! Reading ahead.

use std::fs;

use farthing_gguf::{GgmlType, Gguf, ReadAhead, Writer};

/// Kilobytes of a file's mapping that are in this process's page tables.
fn mapped_kilobytes(path: &str) -> usize {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let of_file = maps.lines().skip_while(|line| !line.ends_with(path));
    let rss = of_file.clone().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    rss.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_read_ahead_is_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.gguf");
    let mut writer = Writer::new(&path);
    let n = 5 << 20;
    for name in ["a", "b"] {
        writer.tensor(name, &[n], GgmlType::F32, vec![1; 4 * n]).unwrap();
    }
    writer.finish().unwrap();
    let gguf = Gguf::open(&path).unwrap();
    let name = path.to_str().unwrap();
    let before = mapped_kilobytes(name);
    ReadAhead::start(vec![gguf.tensors()[1].data()]).wait();
    let after = mapped_kilobytes(name);
    let size = 4 * n / 1024;
    assert!(before < size / 2, "{before} kB");
    assert!((size..size + size / 2).contains(&after), "{before} kB, then {after} kB of {size}");
    ReadAhead::start(gguf.tensors().iter().map(|tensor| tensor.data()).collect()).wait();
    assert!(mapped_kilobytes(name) >= 2 * size);
}
