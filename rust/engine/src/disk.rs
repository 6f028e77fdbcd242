//! Pages and states in files, so that they outlive the process.
//!
//! Two threads do the work, one that reads and one that writes: the engine waits for neither. What is not of
//! use is ignored, what cannot be written is not kept; the notices say so.

mod format;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::notices::Notices;
pub(crate) use format::Kind;
use store::Store;

/// Bytes that wait to be written, at most, unless it is a single page.
const MAX_WAITING: usize = 64 << 20;
/// After a file could not be written none is for so long.
const PAUSE: Duration = Duration::from_secs(30);
/// For how long anybody waits for the reading thread's next answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two looks counts up to this: a process that was stopped has not waited.
const LOOK: Duration = Duration::from_millis(100);
/// How long closing waits for the threads, at most.
const ENDING: Duration = Duration::from_secs(10);

/// Where what requests compute is kept in files.
#[derive(Clone, Debug)]
pub struct DiskCache {
    /// The folder, made when there is something to write. Any number of processes may use it.
    pub folder: PathBuf,
    /// Bytes of files in it, at most; those of all models count.
    pub max_bytes: u64,
    /// The model, as by [`farthing_models::Model::identity`].
    pub identity: u128,
}

impl DiskCache {
    /// Where the model's own files are, in a folder of their own.
    pub fn model_folder(&self) -> PathBuf {
        self.folder.join(format!("{:032x}", self.identity))
    }
}

/// What the reading thread is asked, for a request.
pub(crate) enum Ask {
    /// How many pages there are of a text, as by [`Store::find`].
    Find { id: u64, tokens: Arc<[u32]>, page_len: usize, from: usize, with_states: bool },
    /// The content for the text's first `len` tokens.
    Read { id: u64, kind: Kind, tokens: Arc<[u32]>, len: usize, n_bytes: usize },
}

/// Its answers, in the order of the questions.
pub(crate) enum Answer {
    Found { id: u64, n_pages: usize },
    Content { id: u64, kind: Kind, len: usize, content: Option<Vec<u8>> },
}

/// A file to be written.
struct Save {
    kind: Kind,
    tokens: Vec<u32>,
    content: Vec<u8>,
}

/// The two threads. Dropping it waits for what was given to be written.
pub(crate) struct Disk {
    asks: Option<Sender<Ask>>,
    saves: Option<Sender<Save>>,
    waiting: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
    /// Nothing is sent; it is closed when the threads have ended.
    ended: Receiver<()>,
    patience: Patience,
    notices: Arc<Notices>,
    folder: PathBuf,
}

impl Disk {
    /// Starts the threads; answers go to `answer`.
    pub fn start(
        config: &DiskCache,
        notices: Arc<Notices>,
        answer: impl FnMut(Answer) + Send + 'static,
    ) -> std::io::Result<Disk> {
        let store = Store::new(config);
        let waiting = Arc::<AtomicUsize>::default();
        let (asks, asked) = mpsc::channel();
        let (saves, to_save) = mpsc::channel();
        let (alive, ended) = mpsc::channel::<()>();
        let reader = Reader { store: store.clone(), notices: notices.clone(), answer };
        let writer = Writer::new(store, notices.clone(), waiting.clone());
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let alive = alive.clone();
            let run = move || {
                let _alive = alive;
                run();
            };
            thread::Builder::new().name(format!("farthing-{name}")).spawn(run)
        };
        Ok(Disk {
            threads: vec![
                spawn("read", Box::new(move || reader.run(&asked)))?,
                spawn("write", Box::new(move || writer.run(&to_save)))?,
            ],
            asks: Some(asks),
            saves: Some(saves),
            waiting,
            ended,
            patience: Patience::default(),
            notices,
            folder: config.folder.clone(),
        })
    }

    /// Asks the reading thread.
    pub fn ask(&mut self, ask: Ask) {
        self.patience.asked();
        if let Some(asks) = &self.asks {
            // It lives for as long as the sender.
            let _ = asks.send(ask);
        }
    }

    /// An answer of it has arrived.
    pub fn answered(&mut self) {
        self.patience.answered();
    }

    /// Whether it has not answered for so long that nobody should wait for it; to be called often.
    pub fn is_stuck(&mut self) -> bool {
        if self.patience.ends(Instant::now()) {
            let folder = self.folder.display();
            self.notices
                .add(format!("prefix cache: {folder} does not answer, going on without it"));
        }
        self.patience.is_over
    }

    /// Whether there is room for more to be written.
    pub fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < MAX_WAITING
    }

    /// Has the content for a text written, in its time.
    pub fn save(&self, kind: Kind, tokens: Vec<u32>, content: Vec<u8>) {
        if let Some(saves) = &self.saves {
            self.waiting.fetch_add(content.len(), Ordering::Relaxed);
            let _ = saves.send(Save { kind, tokens, content });
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.asks = None;
        self.saves = None;
        // One that a disk keeps for longer is left to itself.
        if self.ended.recv_timeout(ENDING) != Err(RecvTimeoutError::Timeout) {
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
    }
}

/// How long answers have been waited for.
#[derive(Default)]
struct Patience {
    n_owed: usize,
    waited: Duration,
    looked: Option<Instant>,
    is_over: bool,
}

impl Patience {
    fn asked(&mut self) {
        if self.n_owed == 0 {
            self.looked = None;
        }
        self.n_owed += 1;
    }

    fn answered(&mut self) {
        *self = Patience { n_owed: self.n_owed.saturating_sub(1), ..Patience::default() };
    }

    /// Whether it ends now.
    fn ends(&mut self, now: Instant) -> bool {
        if self.n_owed > 0 {
            let looked = self.looked.replace(now).unwrap_or(now);
            self.waited += now.saturating_duration_since(looked).min(LOOK);
        }
        let is_over = self.waited > PATIENCE;
        is_over && !std::mem::replace(&mut self.is_over, is_over)
    }
}

struct Reader<A> {
    store: Store,
    notices: Arc<Notices>,
    answer: A,
}

impl<A: FnMut(Answer)> Reader<A> {
    fn run(mut self, asked: &Receiver<Ask>) {
        while let Ok(ask) = asked.recv() {
            let answer = match ask {
                Ask::Find { id, tokens, page_len, from, with_states } => {
                    let n_pages = self.store.find(&tokens, page_len, from, with_states);
                    Answer::Found { id, n_pages }
                }
                Ask::Read { id, kind, tokens, len, n_bytes } => {
                    let content = self.store.read(kind, &tokens[..len], n_bytes);
                    let content = content.unwrap_or_else(|notice| {
                        self.notices.add(format!("prefix cache: {notice}"));
                        None
                    });
                    Answer::Content { id, kind, len, content }
                }
            };
            (self.answer)(answer);
        }
    }
}

struct Writer {
    store: Store,
    notices: Arc<Notices>,
    waiting: Arc<AtomicUsize>,
    /// Bytes to be written before room is made.
    left: u64,
    /// When to try again, after a failure.
    paused_until: Option<Instant>,
}

impl Writer {
    fn new(store: Store, notices: Arc<Notices>, waiting: Arc<AtomicUsize>) -> Writer {
        Writer { store, notices, waiting, left: 0, paused_until: None }
    }

    fn run(mut self, to_save: &Receiver<Save>) {
        self.make_room();
        while let Ok(save) = to_save.recv() {
            if self.paused_until.is_none_or(|until| Instant::now() > until) {
                self.write(&save);
            }
            self.waiting.fetch_sub(save.content.len(), Ordering::Relaxed);
        }
    }

    fn write(&mut self, save: &Save) {
        match self.store.write(save.kind, &save.tokens, &save.content) {
            Ok(n_bytes) => {
                self.paused_until = None;
                self.left = self.left.saturating_sub(n_bytes);
                if self.left == 0 {
                    self.make_room();
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    fn make_room(&mut self) {
        match self.store.make_room() {
            Ok(left) => self.left = left,
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &std::io::Error) {
        if self.paused_until.is_none() {
            let folder = self.store.folder();
            self.notices.add(format!("prefix cache: cannot write to {folder}: {error}"));
        }
        self.paused_until = Some(Instant::now() + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_once_and_an_answer_renews_it() {
        let (start, mut patience) = (Instant::now(), Patience::default());
        let ends = |patience: &mut Patience, from: u64, to: u64| {
            let look = |ms| patience.ends(start + Duration::from_millis(ms));
            (from..to).step_by(10).map(look).filter(|&ends| ends).count()
        };
        assert_eq!(ends(&mut patience, 0, 9000), 0, "nobody waits");
        patience.asked();
        patience.asked();
        assert_eq!(ends(&mut patience, 9000, 13_000), 0);
        patience.answered();
        assert_eq!(ends(&mut patience, 13_000, 17_000), 0);
        assert_eq!(ends(&mut patience, 60_000, 60_500), 0, "the process was stopped");
        assert_eq!(ends(&mut patience, 60_500, 90_000), 1);
        assert!(patience.is_over);
        patience.answered();
        assert_eq!(ends(&mut patience, 90_000, 99_000), 0);
        assert!(!patience.is_over);
    }
}
