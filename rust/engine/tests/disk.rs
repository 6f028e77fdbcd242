//! What requests computed is in files: an engine started anew does not compute it again, and whatever becomes
//! of the files, the outputs are the same.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::*;
use farthing_engine::{Config, DiskCache, Engine, Request};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn disk(folder: &Path) -> DiskCache {
    DiskCache { folder: folder.to_owned(), max_bytes: 1 << 20, identity: 7 }
}

fn start(fake: &Fake, disk: DiskCache) -> Engine {
    fake.start_config(Config { max_sequences: 4, disk: Some(disk), ..fake.config() })
}

fn cached(engine: &Engine, text: &[u32]) -> usize {
    let got = answer(engine, greedy(text.to_vec(), 3));
    assert_eq!(got.tokens, continuation(text, 3));
    got.finished().1.cached_tokens
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        fs::read_dir(path).into_iter().flatten().map(|e| e.expect("an entry").path()).collect()
    };
    let mut files: Vec<PathBuf> = entries(folder).iter().flat_map(|path| entries(path)).collect();
    files.sort();
    files
}

#[test]
fn an_engine_started_anew_goes_on_from_files() {
    let folder = folder();
    let text = prompt(1, 30);
    {
        let engine = start(&Fake::new(40, 4), disk(folder.path()));
        assert_eq!(cached(&engine, &text), 0);
    }
    // 32 of 33 tokens were computed.
    assert_eq!(files(folder.path()).len(), 8);
    let fake = Fake::new(40, 4);
    let engine = start(&fake, disk(folder.path()));
    assert_eq!(cached(&engine, &[&text[..], &prompt(2, 9)].concat()), 28);
    assert_eq!(fake.run_lengths()[0], [11]);
    let other = [&text[..17], &prompt(3, 9)].concat();
    assert_eq!(cached(&engine, &other), 17);
    assert_eq!(cached(&engine, &prompt(4, 30)), 0);
}

#[test]
fn files_are_written_while_nothing_is_to_do() {
    let folder = folder();
    let engine = start(&Fake::new(40, 4), disk(folder.path()));
    cached(&engine, &prompt(1, 30));
    wait_until("files are there", || files(folder.path()).len() == 8);
    // Another process sees them at once.
    assert_eq!(cached(&start(&Fake::new(40, 4), disk(folder.path())), &prompt(1, 30)), 28);
}

#[test]
fn what_leaves_memory_comes_back() {
    let folder = folder();
    let engine = start(&Fake::new(12, 4), disk(folder.path()));
    for seed in [1, 2, 3] {
        assert_eq!(cached(&engine, &prompt(seed, 30)), 0);
        wait_until("files are there", || files(folder.path()).len() == 8 * seed as usize);
    }
    for seed in [1, 2, 3, 1] {
        let n = cached(&engine, &prompt(seed, 30));
        assert!(n >= 28, "{n} tokens of prompt {seed}");
    }
}

#[test]
fn requests_at_the_same_time_load_once_and_others_go_past() {
    let folder = folder();
    drop(start(&Fake::new(60, 4), disk(folder.path())));
    cached(&start(&Fake::new(60, 4), disk(folder.path())), &prompt(1, 40));
    let fake = Fake::new(100, 4);
    let engine = start(&fake, disk(folder.path()));
    let texts: Vec<Vec<u32>> = (0..6)
        .map(|i| [prompt(if i % 3 == 0 { 50 + i } else { 1 }, 40), prompt(90 + i, 5)].concat())
        .collect();
    let handles: Vec<_> = texts
        .iter()
        .map(|text| engine.submit(greedy(text.clone(), 8)).expect("a valid request"))
        .collect();
    for (handle, text) in handles.iter().zip(&texts) {
        assert_eq!(collect(handle).tokens, continuation(text, 8));
    }
    let computed: usize = fake.run_lengths().iter().flatten().sum();
    assert_eq!(computed, 2 * 45 + 4 * 5 + 6 * 7);
}

#[test]
fn states_come_back_too() {
    let folder = folder();
    let fake = || Fake::new(80, 4).with_states(12);
    let text = prompt(1, 90);
    assert_eq!(cached(&start(&fake(), disk(folder.path())), &text), 0);
    // States at 32, 64, 80, and at the end, 92.
    let is_state = |path: &&PathBuf| path.extension().is_some_and(|e| e == "state");
    assert_eq!(files(folder.path()).iter().filter(is_state).count(), 4);
    let engine = start(&fake(), disk(folder.path()));
    assert_eq!(cached(&engine, &[&text[..70], &prompt(2, 9)].concat()), 64);
    assert_eq!(cached(&engine, &[&text[..85], &prompt(2, 9)].concat()), 80);
    // The last one left another state, at 84.
    drop(engine);
    let engine = start(&fake(), disk(folder.path()));
    assert_eq!(cached(&engine, &text), 84);
}

#[test]
fn a_state_that_left_memory_comes_back() {
    let folder = folder();
    let engine = start(&Fake::new(80, 4).with_states(3), disk(folder.path()));
    for seed in [1, 2] {
        assert_eq!(cached(&engine, &prompt(seed, 60)), 0);
    }
    wait_until("states are there", || {
        let is_state = |path: &&PathBuf| path.extension().is_some_and(|e| e == "state");
        files(folder.path()).iter().filter(is_state).count() == 4
    });
    assert_eq!(cached(&engine, &prompt(1, 60)), 52);
}

#[test]
fn damaged_files_are_named_and_computed_again() {
    let folder = folder();
    let text = prompt(1, 30);
    cached(&start(&Fake::new(40, 4), disk(folder.path())), &text);
    // That of the first four tokens.
    let is_first = |path: &&PathBuf| fs::read(path).is_ok_and(|bytes| bytes[32] == 4);
    let path = files(folder.path()).iter().find(is_first).expect("a file").clone();
    let mut bytes = fs::read(&path).expect("a file");
    bytes[80] ^= 1;
    fs::write(&path, bytes).expect("it can be written");
    let engine = start(&Fake::new(40, 4), disk(folder.path()));
    assert_eq!(cached(&engine, &text), 0);
    let notices = engine.wait_notices(PATIENCE).expect("not closed");
    assert!(notices[0].contains("checksum is wrong"), "{notices:?}");
    engine.close();
    while let Some(more) = engine.wait_notices(PATIENCE) {
        assert!(!more.is_empty());
    }
    // They were written again.
    assert_eq!(cached(&start(&Fake::new(40, 4), disk(folder.path())), &text), 28);
}

#[test]
fn a_file_missing_in_between_ends_what_is_loaded() {
    let folder = folder();
    let text = prompt(1, 30);
    cached(&start(&Fake::new(40, 4), disk(folder.path())), &text);
    let n_before = files(folder.path()).len();
    for path in files(folder.path()).into_iter().take(4) {
        fs::remove_file(path).expect("it was there");
    }
    let engine = start(&Fake::new(40, 4), disk(folder.path()));
    assert!(cached(&engine, &text) < 28);
    drop(engine);
    assert_eq!(files(folder.path()).len(), n_before);
}

#[test]
fn files_of_another_model_are_not_looked_at() {
    let folder = folder();
    cached(&start(&Fake::new(40, 4), disk(folder.path())), &prompt(1, 30));
    let other = DiskCache { identity: 8, ..disk(folder.path()) };
    let engine = start(&Fake::new(40, 4), other.clone());
    assert_eq!(cached(&engine, &prompt(1, 30)), 0);
    drop(engine);
    // Nor if they are put into its folder.
    let folders: Vec<_> = [7, 8].map(|id| folder.path().join(format!("{id:032x}"))).into();
    for path in fs::read_dir(&folders[0]).expect("a folder").map(|e| e.expect("an entry").path()) {
        fs::copy(&path, folders[1].join(path.file_name().expect("a name"))).expect("a copy");
    }
    let engine = start(&Fake::new(40, 4), other);
    assert_eq!(cached(&engine, &prompt(1, 30)), 0);
    let notices = engine.wait_notices(PATIENCE).expect("not closed");
    assert!(notices[0].contains("another model"), "{notices:?}");
}

#[test]
fn a_folder_that_cannot_be_written_stops_nothing() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, b"not a folder").expect("it can be written");
    let engine = start(&Fake::new(40, 4), disk(&file));
    assert_eq!(cached(&engine, &prompt(1, 30)), 0);
    assert_eq!(cached(&engine, &prompt(1, 30)), 29);
    let notices = engine.wait_notices(PATIENCE).expect("not closed");
    assert!(notices[0].contains("cannot write"), "{notices:?}");
    engine.close();
    assert_eq!(engine.wait_notices(Duration::ZERO), None, "it is said once");
}

#[test]
fn files_are_bounded() {
    let folder = folder();
    let engine = start(&Fake::new(40, 4), DiskCache { max_bytes: 2000, ..disk(folder.path()) });
    for seed in 0..20 {
        cached(&engine, &prompt(seed, 30));
    }
    drop(engine);
    let sizes = files(folder.path()).into_iter().map(|path| path.metadata().expect("a file").len());
    let total: u64 = sizes.sum();
    assert!((500..=2000).contains(&total), "{total} bytes");
}

#[test]
fn what_keeps_to_itself_is_not_in_files() {
    let folder = folder();
    let engine = start(&Fake::new(40, 4), disk(folder.path()));
    for request in [
        Request { unshared: true, ..greedy(prompt(1, 30), 3) },
        Request { namespace: 1, ..greedy(prompt(2, 30), 3) },
        greedy(prompt(3, 4), 0),
    ] {
        answer(&engine, request);
    }
    drop(engine);
    assert_eq!(files(folder.path()).len(), 1, "the page of the last");
}

#[test]
fn cancelled_while_it_is_loaded() {
    let folder = folder();
    let text = prompt(1, 120);
    cached(&start(&Fake::new(60, 4), disk(folder.path())), &text);
    let engine = start(&Fake::new(60, 4), disk(folder.path()));
    for _ in 0..20 {
        let handle = engine.submit(greedy(text.clone(), 3)).expect("a valid request");
        handle.cancel();
        assert!(collect(&handle).tokens.len() <= 3);
    }
    assert!(cached(&engine, &text) > 0);
    wait_until("all is over", || engine.status().running == 0);
    assert_eq!(engine.status().used_pages, 0);
}

#[test]
fn two_engines_use_one_folder() {
    let folder = folder();
    let bound = DiskCache { max_bytes: 4000, ..disk(folder.path()) };
    std::thread::scope(|scope| {
        for first in [0, 3] {
            let bound = bound.clone();
            scope.spawn(move || {
                let engine = start(&Fake::new(30, 4), bound);
                for turn in 0..60 {
                    cached(&engine, &prompt(first + turn % 5, 40));
                }
                engine.close();
                while let Some(notices) = engine.wait_notices(PATIENCE) {
                    assert!(notices.is_empty(), "{notices:?}");
                }
            });
        }
    });
    assert!(files(folder.path()).iter().all(|path| !path.to_string_lossy().contains("writing")));
}

/// Changes a file in one way or the other.
fn damage(path: &Path, way: usize) {
    let mut bytes = fs::read(path).expect("a file");
    let n = bytes.len();
    match way {
        0 => bytes.clear(),
        1 => bytes.truncate(n / 2),
        2 => bytes.truncate(n - 1),
        3 => bytes.push(0),
        4 => bytes[n - 1] ^= 0x80,
        // The length of the text, and of the content.
        5 => bytes[32..40].fill(0xFF),
        6 => bytes[40..48].fill(0xFF),
        _ => bytes.fill(way as u8),
    }
    fs::write(path, bytes).expect("it can be written");
}

#[test]
fn whatever_is_in_the_files_the_outputs_are_the_same() {
    let folder = folder();
    let texts: Vec<Vec<u32>> = (0..3).map(|seed| prompt(seed, 50)).collect();
    for states in [0, 16] {
        let fake = || Fake::new(80, 4).with_states(states);
        for way in 0..9 {
            {
                let engine = start(&fake(), disk(folder.path()));
                for text in &texts {
                    cached(&engine, text);
                }
            }
            for (n, path) in files(folder.path()).iter().enumerate() {
                if n % 3 != way % 3 {
                    damage(path, way);
                }
            }
            let engine = start(&fake(), disk(folder.path()));
            for text in &texts {
                cached(&engine, text);
                assert!(cached(&engine, text) >= 40);
            }
        }
    }
}
