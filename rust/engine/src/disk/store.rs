//! The folder: files of all models, each model's in a folder named by its identity.
//!
//! Any number of processes may use it at once: a file appears whole, by being renamed, and does not change;
//! one that another process removes is just not there.

use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::xxh3_128;

use super::DiskCache;
use super::format::{self, About, Kind, Problem};

/// Files being written are called so, with the process and a number after it.
const TEMPORARY: &str = "writing-";
static WRITTEN: AtomicU64 = AtomicU64::new(0);
/// Whoever wrote one of this age has ended.
const ABANDONED: Duration = Duration::from_secs(3600);
/// How much of the bound is left when it was passed, so that not every file makes room anew.
const KEPT_PART: f64 = 0.9;
/// Bytes are counted anew after this part of the bound was written, since other processes write too.
const COUNTED_PARTS: u64 = 16;
/// When a text is used, the files of its later pages become older than those before by this much each: they
/// are of no use without them.
const STEP: Duration = Duration::from_micros(10);

/// Where a model's files are.
#[derive(Clone)]
pub(super) struct Store {
    /// All models' folder.
    root: PathBuf,
    /// This one's.
    folder: PathBuf,
    identity: u128,
    max_bytes: u64,
}

impl Store {
    pub fn new(config: &DiskCache) -> Store {
        Store {
            root: config.folder.clone(),
            folder: config.model_folder(),
            identity: config.identity,
            max_bytes: config.max_bytes,
        }
    }

    /// The folder of all models, to be named.
    pub fn folder(&self) -> std::path::Display<'_> {
        self.root.display()
    }

    /// The file for a text.
    fn path(&self, kind: Kind, tokens: &[u32]) -> PathBuf {
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        self.folder.join(format!("{:032x}.{}", xxh3_128(&bytes), kind.extension()))
    }

    /// How many pages of a text there are without a gap, of which the first `from` need not be there; or how
    /// many come before the last state on that way, if `with_states`. They count as used now.
    pub fn find(&self, tokens: &[u32], page_len: usize, from: usize, with_states: bool) -> usize {
        let now = SystemTime::now();
        let text = |n: usize| &tokens[..n * page_len];
        let is_there = |kind, n: usize| {
            let path = self.path(kind, text(n));
            let age = STEP.saturating_mul(n as u32);
            touch(&path, now.checked_sub(age).unwrap_or(now))
        };
        let mut n = 0;
        while n < tokens.len() / page_len && (is_there(Kind::Page, n + 1) || n < from) {
            n += 1;
        }
        match with_states {
            true => (1..=n).rev().find(|&n| is_there(Kind::State, n)).unwrap_or(0),
            false => n,
        }
    }

    /// The content of a file; `None` if there is none. One that is of no use is removed, and the error says
    /// so.
    pub fn read(
        &self,
        kind: Kind,
        tokens: &[u32],
        n_bytes: usize,
    ) -> Result<Option<Vec<u8>>, String> {
        let path = self.path(kind, tokens);
        let about = About { identity: self.identity, kind, tokens, n_bytes };
        let read = || -> Result<Vec<u8>, Problem> {
            let mut file = open(&path, OpenOptions::new().read(true))?;
            let len = file.metadata()?.len();
            format::decode(&mut file, len, about)
        };
        match read() {
            Ok(content) => Ok(Some(content)),
            Err(Problem::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(problem) => {
                // Where it cannot be removed it is found again.
                let _ = fs::remove_file(&path);
                Err(format!("{} is ignored: {problem}", path.display()))
            }
        }
    }

    /// Writes a file, unless a good one is there or it is too large; says how many bytes were added.
    pub fn write(&self, kind: Kind, tokens: &[u32], content: &[u8]) -> io::Result<u64> {
        let about = About { identity: self.identity, kind, tokens, n_bytes: content.len() };
        if about.file_len() > self.max_bytes {
            return Ok(0);
        }
        let path = self.path(kind, tokens);
        if matches!(self.read(kind, tokens, content.len()), Ok(Some(_))) {
            touch(&path, SystemTime::now());
            return Ok(0);
        }
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        private_folder(&self.folder)?;
        let temporary = self.folder.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        let write = || {
            let mut file = BufWriter::new(private_file(&temporary)?);
            format::encode(&mut file, about, content)?;
            file.flush()?;
            fs::rename(&temporary, &path)
        };
        write().inspect_err(|_| drop(fs::remove_file(&temporary)))?;
        Ok(about.file_len())
    }

    /// Removes what has not been used for longest, of all models' files, if they have too many bytes; says how
    /// many may be written before the next time.
    ///
    /// # Errors
    /// Enough of them cannot be removed.
    pub fn make_room(&self) -> io::Result<u64> {
        let mut files = Vec::new();
        for folder in entries(&self.root)? {
            if is_number(&folder.file_name().unwrap_or_default().to_string_lossy()) {
                list(&folder, &mut files);
            }
        }
        let mut total: u64 = files.iter().map(|file| file.len).sum();
        if total > self.max_bytes {
            files.sort_by_key(|file| file.used);
            let wanted = (self.max_bytes as f64 * KEPT_PART) as u64;
            let mut failure = None;
            for file in files {
                if total <= wanted {
                    break;
                }
                match fs::remove_file(&file.path) {
                    // Another process may have been faster.
                    Err(error) if error.kind() != ErrorKind::NotFound => failure = Some(error),
                    _ => total -= file.len,
                }
            }
            if let Some(error) = failure.filter(|_| total > self.max_bytes) {
                return Err(error);
            }
        }
        Ok((self.max_bytes - total.min(self.max_bytes)).min(self.max_bytes / COUNTED_PARTS))
    }
}

struct Listed {
    path: PathBuf,
    len: u64,
    used: SystemTime,
}

/// Adds the files of a model's folder, and nothing else that may be there. What was left half written is
/// removed.
fn list(folder: &Path, files: &mut Vec<Listed>) {
    for path in entries(folder).unwrap_or_default() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let about = file_metadata(&path).and_then(|about| Ok((about.len(), about.modified()?)));
        let Ok((len, used)) = about else {
            continue;
        };
        if name.starts_with(TEMPORARY) && used.elapsed().is_ok_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(&path);
        }
        let ours = name.split_once('.').is_some_and(|(number, extension)| {
            is_number(number)
                && [Kind::Page, Kind::State].iter().any(|k| k.extension() == extension)
        });
        if ours {
            files.push(Listed { path, len, used });
        }
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_number(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|c| c.is_ascii_hexdigit())
}

/// Whether a file is there; it counts as used at this time, where that can be noted.
fn touch(path: &Path, at: SystemTime) -> bool {
    match open(path, OpenOptions::new().write(true)) {
        Ok(file) => {
            let _ = file.set_times(FileTimes::new().set_modified(at));
            true
        }
        Err(_) => file_metadata(path).is_ok(),
    }
}

/// Opens a file, but nothing else that may have its name: opening a pipe would wait for somebody.
fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    file_metadata(path)?;
    options.open(path)
}

/// What is known of a file.
///
/// # Errors
/// There is none, or it is something else.
fn file_metadata(path: &Path) -> io::Result<fs::Metadata> {
    let about = fs::symlink_metadata(path)?;
    match about.is_file() {
        true => Ok(about),
        false => Err(io::Error::other("it is not a file")),
    }
}

/// A folder that only this user can look into: texts can be read from it.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_LEN: usize = 2;
    const TEXT: [u32; 7] = [1, 2, 3, 4, 5, 6, 7];

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn new_store(folder: &Path, identity: u128, max_bytes: u64) -> Store {
        Store::new(&DiskCache { folder: folder.to_owned(), max_bytes, identity })
    }

    fn write(store: &Store, kind: Kind, n_pages: usize, content: &[u8]) -> u64 {
        let text = &TEXT[..n_pages * PAGE_LEN];
        store.write(kind, text, content).expect("it can be written")
    }

    fn names(store: &Store) -> usize {
        entries(&store.folder).expect("a folder").len()
    }

    #[test]
    fn pages_are_found_up_to_a_gap() {
        let root = folder();
        let store = new_store(root.path(), 5, 1 << 20);
        let find = |from| store.find(&TEXT, PAGE_LEN, from, false);
        assert_eq!(find(0), 0);
        for n in [1, 3] {
            assert!(write(&store, Kind::Page, n, b"page") > 4);
            assert_eq!(write(&store, Kind::Page, n, b"page"), 0, "it is there");
        }
        assert_eq!((find(0), find(1), find(2)), (1, 1, 3));
        assert_eq!(store.read(Kind::Page, &TEXT[..2], 4), Ok(Some(b"page".to_vec())));
        assert_eq!(store.read(Kind::Page, &TEXT[..4], 4), Ok(None));
        assert_eq!(new_store(root.path(), 6, 1 << 20).find(&TEXT, PAGE_LEN, 0, false), 0);
        assert_eq!(names(&store), 2);
    }

    #[test]
    fn with_states_pages_count_up_to_the_last() {
        let root = folder();
        let store = new_store(root.path(), 5, 1 << 20);
        let find = |from| store.find(&TEXT, PAGE_LEN, from, true);
        for n in 1..=3 {
            write(&store, Kind::Page, n, b"page");
        }
        assert_eq!(find(0), 0);
        write(&store, Kind::State, 2, b"state");
        assert_eq!(find(0), 2);
    }

    #[test]
    fn a_damaged_file_is_named_and_goes() {
        let root = folder();
        let store = new_store(root.path(), 5, 1 << 20);
        write(&store, Kind::Page, 1, b"page");
        let path = store.path(Kind::Page, &TEXT[..2]);
        fs::write(&path, b"short").expect("it can be written");
        let error = store.read(Kind::Page, &TEXT[..2], 4).expect_err("damaged");
        assert!(error.contains(&*path.to_string_lossy()) && error.contains("5 bytes"), "{error}");
        assert_eq!(store.read(Kind::Page, &TEXT[..2], 4), Ok(None));
        fs::write(&path, b"short").expect("it can be written");
        assert!(write(&store, Kind::Page, 1, b"page") > 4);
        assert_eq!(store.read(Kind::Page, &TEXT[..2], 4), Ok(Some(b"page".to_vec())));
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let root = folder();
        let store = new_store(root.path(), 5, 1000);
        let other = new_store(root.path(), 6, 1000);
        let stranger = root.path().join("letter.page");
        fs::write(&stranger, vec![0; 5000]).expect("it can be written");
        write(&other, Kind::Page, 1, &[0; 300]);
        for n in 1..=3 {
            write(&store, Kind::Page, n, &[0; 300]);
        }
        let old = SystemTime::now() - Duration::from_secs(100);
        assert!(touch(&other.path(Kind::Page, &TEXT[..2]), old));
        assert_eq!(store.find(&TEXT, PAGE_LEN, 0, false), 3);
        assert_eq!(store.make_room().expect("files can be removed"), 1000 / COUNTED_PARTS);
        // The other model's was older, then the end of the text.
        assert_eq!(other.find(&TEXT, PAGE_LEN, 0, false), 0);
        assert_eq!(store.find(&TEXT, PAGE_LEN, 0, false), 2);
        assert!(stranger.exists());
    }

    #[test]
    fn what_was_left_half_written_is_removed() {
        let root = folder();
        let store = new_store(root.path(), 5, 1000);
        write(&store, Kind::Page, 1, b"page");
        for (name, age) in [("writing-1-1", 5000), ("writing-1-2", 5)] {
            let path = store.folder.join(name);
            fs::write(&path, b"half").expect("it can be written");
            touch(&path, SystemTime::now() - Duration::from_secs(age));
        }
        assert!(store.make_room().is_ok());
        assert_eq!(names(&store), 2);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_left_alone() {
        let root = folder();
        let store = new_store(root.path(), 5, 1000);
        for n in 1..=3 {
            write(&store, Kind::Page, n, &[0; 500]);
        }
        let [pipe, link, other] = [1, 2, 3].map(|n| store.path(Kind::Page, &TEXT[..2 * n]));
        for path in [&pipe, &link, &other] {
            fs::remove_file(path).expect("it was there");
        }
        let target = root.path().join("target");
        fs::write(&target, vec![0; 5000]).expect("it can be written");
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs");
        assert!(made.success());
        fs::create_dir(&other).expect("a folder");
        assert_eq!(store.find(&TEXT, PAGE_LEN, 0, false), 0);
        for n in 1..=2 {
            let error = store.read(Kind::Page, &TEXT[..2 * n], 500).expect_err("no file");
            assert!(error.contains("not a file"), "{error}");
        }
        // They are removed, what the link led to is not.
        assert!(target.exists() && !link.exists() && !pipe.exists());
        assert!(store.make_room().is_ok() && other.exists());
        assert!(store.write(Kind::Page, &TEXT[..6], &[0; 500]).is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let root = folder();
        let file = root.path().join("file");
        fs::write(&file, b"").expect("it can be written");
        let store = new_store(&file, 5, 1000);
        assert!(store.write(Kind::Page, &TEXT[..2], b"page").is_err());
        assert_eq!(store.find(&TEXT, PAGE_LEN, 0, false), 0);
    }
}
