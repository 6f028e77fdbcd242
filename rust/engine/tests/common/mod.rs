//! A model that is a hash of everything it can see. What it sees it reads back from its own pages,
//! so a wrong page, position or order gives other tokens than the plain hash of the text.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use farthing_engine::{
    Config, Engine, FinishReason, Forward, ForwardError, Handle, Output, Request, Sampling,
    Timings, Usage,
};
use farthing_models::{Abilities, Page, Pooling, Rows, Run, Slot, Wants};

pub const N_VOCAB: usize = 50;
pub const SECOND: Duration = Duration::from_secs(1);

/// How long what must come is waited for: other programs may leave little time.
pub const PATIENCE: Duration = Duration::from_secs(100);

/// How long a pass takes that tests interrupt, with [`LONG_PASS`] tokens of which each takes 10 ms: nobody may
/// wait for half of it.
pub const LONG_PASS_TIME: Duration = Duration::from_secs(20);
pub const LONG_PASS: usize = 2000;

/// The ids that make the fake model fail in some way when it computes them.
pub const PANICS: u32 = 49;
pub const FAILS: u32 = 48;
pub const GIVES_NAN: u32 = 47;

#[derive(Clone)]
pub struct Fake {
    pub page_len: usize,
    pub n_pages: usize,
    /// The tokens that each state has seen.
    states: Vec<Option<Vec<u32>>>,
    /// Time for each token.
    pub delay: Duration,
    /// What a pass and each token of it take by the clock that it shows.
    costs: [Duration; 2],
    /// So many passes at first take this instead.
    slow_start: (usize, Duration),
    clock: Duration,
    /// Its logits depend on so many of the last tokens, and a little on the others.
    pub order: usize,
    /// What its logits are multiplied by.
    pub sharpness: f32,
    /// Of its engines.
    pub n_draft_max: usize,
    pub log: Arc<Mutex<Log>>,
    pub interrupt: Arc<AtomicBool>,
    /// Passes from this number on stand still.
    held_from: Arc<AtomicUsize>,
    memory: Vec<Option<(usize, u32)>>,
    /// Whether it is an encoder, whose tokens see later ones.
    encoder: bool,
}

#[derive(Default)]
pub struct Log {
    pub passes: Vec<Vec<Run>>,
    pub awake: Vec<bool>,
}

impl Fake {
    pub fn new(n_pages: usize, page_len: usize) -> Fake {
        Fake {
            page_len,
            n_pages,
            states: Vec::new(),
            delay: Duration::ZERO,
            costs: [Duration::ZERO; 2],
            slow_start: (0, Duration::ZERO),
            clock: Duration::ZERO,
            order: usize::MAX,
            sharpness: 1.0,
            n_draft_max: 0,
            log: Arc::default(),
            interrupt: Arc::default(),
            held_from: Arc::new(AtomicUsize::new(usize::MAX)),
            memory: vec![None; n_pages * page_len],
            encoder: false,
        }
    }

    pub fn slow(mut self, delay: Duration) -> Fake {
        self.delay = delay;
        self
    }

    /// The same with passes that take long: see [`LONG_PASS_TIME`].
    pub fn very_slow(self) -> Fake {
        self.slow(LONG_PASS_TIME / LONG_PASS as u32)
    }

    /// The same where a pass takes `pass` and `token` for each of its tokens, by its clock.
    pub fn timed(mut self, pass: Duration, token: Duration) -> Fake {
        self.costs = [pass, token];
        self
    }

    /// The same, where the first `n` passes take this time instead.
    pub fn slow_at_first(mut self, n: usize, pass: Duration) -> Fake {
        self.slow_start = (n, pass);
        self
    }

    /// The same with logits that are far apart.
    pub fn sure(mut self) -> Fake {
        self.sharpness = 20.0;
        self
    }

    /// The same with a short memory, so that its text repeats itself.
    pub fn of_order(mut self, order: usize) -> Fake {
        self.order = order;
        self
    }

    /// The same, and its engines guess so many tokens.
    pub fn drafting(mut self, n_draft_max: usize) -> Fake {
        self.n_draft_max = n_draft_max;
        self
    }

    /// The same with so many slots of states, from which it reads too.
    pub fn with_states(mut self, n: usize) -> Fake {
        self.states = vec![None; n];
        self
    }

    /// The same as an encoder.
    pub fn encoder(mut self) -> Fake {
        self.encoder = true;
        self
    }

    pub fn start(&self, max_sequences: usize, n_batch: usize) -> Engine {
        self.start_with(self.n_pages * self.page_len, max_sequences, n_batch)
    }

    pub fn start_with(&self, n_ctx: usize, max_sequences: usize, n_batch: usize) -> Engine {
        self.start_config(Config { n_ctx, max_sequences, n_batch, ..self.config() })
    }

    /// The defaults with a context of all pages.
    pub fn config(&self) -> Config {
        let n_ctx = self.n_pages * self.page_len;
        Config { n_ctx, n_draft_max: self.n_draft_max, ..Config::default() }
    }

    pub fn start_config(&self, config: Config) -> Engine {
        Engine::start(Box::new(self.clone()), config).expect("the limits are valid")
    }

    /// Does something, such as submitting requests, while the pass in progress stands still.
    pub fn while_paused<T>(&self, f: impl FnOnce() -> T) -> T {
        /// Lets the passes go on, also when `f` panics: else the engine's thread would never end.
        struct Resume<'a>(&'a AtomicUsize);
        impl Drop for Resume<'_> {
            fn drop(&mut self) {
                self.0.store(usize::MAX, Ordering::SeqCst);
            }
        }
        self.held_from.store(0, Ordering::SeqCst);
        let _resume = Resume(&self.held_from);
        f()
    }

    /// Within `while_paused`: lets passes go on, and waits until so many are done and the next one stands still.
    pub fn advance_to(&self, n_passes: usize) {
        self.held_from.store(n_passes, Ordering::SeqCst);
        wait_until("the pass stands still", || self.n_passes() == n_passes + 1);
    }

    pub fn n_passes(&self) -> usize {
        self.log.lock().expect("not poisoned").passes.len()
    }

    /// Lengths of the runs of each pass.
    pub fn run_lengths(&self) -> Vec<Vec<usize>> {
        let log = self.log.lock().expect("not poisoned");
        let lengths = |runs: &Vec<Run>| runs.iter().map(|run| run.tokens.len()).collect();
        log.passes.iter().map(lengths).collect()
    }

    fn slot(&self, run: &Run, position: usize) -> usize {
        run.pages[position / self.page_len] as usize * self.page_len + position % self.page_len
    }

    /// What it gives after these tokens.
    pub fn logits_after(&self, seen: &[u32]) -> Vec<f32> {
        let mut logits = logits_after(seen);
        if seen.len() > self.order {
            let some = logits_after(&seen[seen.len() - self.order..]);
            logits.iter_mut().zip(some).for_each(|(all, some)| *all = some + *all / 1000.0);
        }
        logits.iter_mut().for_each(|logit| *logit *= self.sharpness);
        logits
    }

    /// No page that a run writes is seen by another one.
    fn check(&self, runs: &[Run]) {
        let mut seen: HashSet<u32> = HashSet::new();
        let mut written: HashSet<u32> = HashSet::new();
        for run in runs {
            let end = run.start + run.tokens.len();
            assert!(!run.tokens.is_empty() && run.pages.len() * self.page_len >= end);
            let used = &run.pages[..end.div_ceil(self.page_len)];
            let first = run.start / self.page_len;
            assert!(used.iter().all(|page| !written.contains(page)), "a page written by two");
            assert!(used[first..].iter().all(|page| !seen.contains(page)), "a shared page written");
            seen.extend(used);
            written.extend(&used[first..]);
        }
    }
}

impl Forward for Fake {
    fn n_vocab(&self) -> usize {
        N_VOCAB
    }

    fn page_len(&self) -> usize {
        self.page_len
    }

    fn n_pages(&self) -> usize {
        self.n_pages
    }

    fn n_states(&self) -> usize {
        self.states.len()
    }

    fn copy_page(&mut self, from: Page, to: Page) {
        let (from, to) = (from as usize * self.page_len, to as usize * self.page_len);
        self.memory.copy_within(from..from + self.page_len, to);
    }

    fn page_bytes(&self) -> usize {
        8 * self.page_len
    }

    fn read_page(&self, page: Page, bytes: &mut Vec<u8>) {
        for place in &self.memory[page as usize * self.page_len..][..self.page_len] {
            let (position, token) = place.expect("only full pages are read");
            bytes.extend((position as u32).to_le_bytes().into_iter().chain(token.to_le_bytes()));
        }
    }

    fn write_page(&mut self, page: Page, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.page_bytes());
        let place = &mut self.memory[page as usize * self.page_len..][..self.page_len];
        for (place, bytes) in place.iter_mut().zip(bytes.chunks_exact(8)) {
            let number = |b: &[u8]| u32::from_le_bytes(b.try_into().expect("four bytes"));
            *place = Some((number(&bytes[..4]) as usize, number(&bytes[4..])));
        }
    }

    fn state_bytes(&self) -> usize {
        4 * (1 + self.page_len * self.n_pages)
    }

    fn read_state(&self, slot: Slot, bytes: &mut Vec<u8>) {
        let seen = self.states[slot as usize].as_ref().expect("a state");
        let mut numbers = vec![seen.len() as u32];
        numbers.extend(seen);
        numbers.resize(self.state_bytes() / 4, 0);
        bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
    }

    fn write_state(&mut self, slot: Slot, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.state_bytes());
        let number = |b: &[u8]| u32::from_le_bytes(b.try_into().expect("four bytes"));
        let numbers: Vec<u32> = bytes.chunks_exact(4).map(number).collect();
        self.states[slot as usize] = Some(numbers[1..][..numbers[0] as usize].to_vec());
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            generates: !self.encoder,
            looks_ahead: self.encoder,
            width: WIDTH,
            embedding: WIDTH,
            pooling: Pooling::Mean,
            classified: Some(if self.encoder { Pooling::Cls } else { Pooling::Last }),
        }
    }

    fn interrupt(&self) -> Arc<AtomicBool> {
        self.interrupt.clone()
    }

    fn forward(&mut self, runs: &[Run], rows: &mut Vec<f32>) -> Result<(), ForwardError> {
        let nth = {
            let passes = &mut self.log.lock().expect("not poisoned").passes;
            passes.push(runs.to_vec());
            passes.len() - 1
        };
        let n_tokens: usize = runs.iter().map(|run| run.tokens.len()).sum();
        self.clock += match self.slow_start {
            (n, pass) if self.n_passes() <= n => pass,
            _ => self.costs[0] + self.costs[1] * n_tokens as u32,
        };
        self.check(runs);
        while nth >= self.held_from.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_micros(100));
        }
        rows.clear();
        let mut vectors = Vec::new();
        for run in runs {
            for position in run.start..run.start + run.tokens.len() {
                let slot = self.slot(run, position);
                self.memory[slot] = None;
            }
        }
        // An interrupted pass has written something.
        let slots = || runs.iter().filter_map(|run| run.state);
        for (i, slots_of) in slots().enumerate() {
            let used =
                |i| slots().nth(i).into_iter().flat_map(|s| s.from.into_iter().chain([s.to]));
            assert!((0..slots().count()).all(|j| i == j || used(j).all(|s| s != slots_of.to)));
            assert_ne!(slots_of.from, Some(slots_of.to));
            self.states[slots_of.to as usize] = None;
        }
        for run in runs {
            assert_eq!(run.state.is_some(), !self.states.is_empty());
            if let Some(slots) = run.state {
                let mut seen = match slots.from {
                    Some(from) => self.states[from as usize].clone().expect("a state"),
                    None => Vec::new(),
                };
                assert_eq!(seen.len(), run.start, "tokens in the state");
                let before = (0..run.start).map(|i| self.memory[self.slot(run, i)]);
                assert!(before.zip(&seen).all(|(held, &token)| held.is_some_and(|h| h.1 == token)));
                seen.extend(&run.tokens);
                self.states[slots.to as usize] = Some(seen);
            }
            for (nth, &token) in run.tokens.iter().enumerate() {
                if self.interrupt.load(Ordering::SeqCst) {
                    return Err(ForwardError::Interrupted);
                }
                thread::sleep(self.delay);
                assert_ne!(token, PANICS, "token {PANICS} makes it panic");
                if token == FAILS {
                    return Err(ForwardError::Failed("broken".into()));
                }
                let position = run.start + nth;
                let slot = self.slot(run, position);
                self.memory[slot] = Some((position, token));
                let last = nth + 1 == run.tokens.len();
                if run.wants == Wants::All || run.wants == Wants::Last && last {
                    let seen: Vec<u32> = (0..=position)
                        .map(|i| match self.memory[self.slot(run, i)] {
                            Some((at, token)) if at == i => token,
                            other => panic!("position {i} holds {other:?}"),
                        })
                        .collect();
                    rows.extend(self.logits_after(&seen));
                }
            }
            if let Wants::Vectors(wanted) = run.wants {
                let end = run.start + run.tokens.len();
                assert!(!self.encoder || run.start == 0, "an encoder's text in one run");
                let seen: Vec<u32> = (0..end)
                    .map(|i| self.memory[self.slot(run, i)].expect("a computed token").1)
                    .collect();
                let all = run.start..end;
                let tokens = match wanted {
                    Rows::First => run.start..run.start + 1,
                    Rows::Last => end - 1..end,
                    Rows::All => all,
                };
                for i in tokens {
                    let text = if self.encoder { &seen[..] } else { &seen[..=i] };
                    vectors.extend(vector(text, i));
                }
            }
        }
        rows.extend(vectors);
        Ok(())
    }

    fn clock(&self) -> Duration {
        self.clock
    }

    fn head(&mut self, pooling: Pooling, n: usize, vectors: &mut Vec<f32>) {
        if pooling == Pooling::Rank {
            assert_eq!(vectors.len(), n * WIDTH);
            *vectors = vectors.chunks(WIDTH).map(|vector| vector.iter().sum()).collect();
        }
    }

    fn awake(&mut self, awake: bool) {
        self.log.lock().expect("not poisoned").awake.push(awake);
    }
}

/// The length of vectors.
pub const WIDTH: usize = 3;

/// That of a token of a text, as far as it sees it.
pub fn vector(seen: &[u32], i: usize) -> [f32; WIDTH] {
    let logits = logits_after(&[seen, &[i as u32]].concat());
    [logits[0], logits[1], logits[2]]
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d049bb133111eb);
    x ^ x >> 31
}

/// What the fake model gives after these tokens: numbers of [0, 8).
pub fn logits_after(tokens: &[u32]) -> Vec<f32> {
    if tokens.last() == Some(&GIVES_NAN) {
        return vec![f32::NAN; N_VOCAB];
    }
    let hash = tokens.iter().fold(1, |hash, &token| mix(hash ^ u64::from(token) << 7));
    (0..N_VOCAB as u64)
        .map(|id| (mix(hash ^ id) >> 40) as f32 / (1 << 21) as f32)
        // The ids with a meaning are never the most likely.
        .enumerate()
        .map(|(id, x)| if id >= GIVES_NAN as usize { x - 100.0 } else { x })
        .collect()
}

/// The greedy continuation, computed plainly.
pub fn continuation(prompt: &[u32], n: usize) -> Vec<u32> {
    let mut tokens = prompt.to_vec();
    for _ in 0..n {
        let logits = logits_after(&tokens);
        let best = (0..N_VOCAB).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        tokens.push(best.expect("a vocabulary") as u32);
    }
    tokens.split_off(prompt.len())
}

/// A text of `n` tokens, another one for each `seed`.
pub fn prompt(seed: u64, n: usize) -> Vec<u32> {
    (0..n as u64).map(|i| (mix(seed << 32 | i) % 40) as u32).collect()
}

pub fn greedy(tokens: Vec<u32>, max_tokens: usize) -> Request {
    Request {
        tokens,
        max_tokens: Some(max_tokens),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        ..Request::default()
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub tokens: Vec<u32>,
    pub outputs: Vec<Output>,
}

impl Answer {
    pub fn finished(&self) -> (FinishReason, Usage) {
        match self.outputs.last() {
            Some(Output::Finished { reason, usage, .. }) => (*reason, *usage),
            other => panic!("ended with {other:?}"),
        }
    }

    pub fn timings(&self) -> Timings {
        match self.outputs.last() {
            Some(Output::Finished { timings, .. }) => *timings,
            other => panic!("ended with {other:?}"),
        }
    }

    pub fn reason(&self) -> FinishReason {
        self.finished().0
    }

    pub fn error(&self) -> &str {
        match self.outputs.last() {
            Some(Output::Error(message)) => message,
            other => panic!("ended with {other:?}"),
        }
    }
}

/// Waits for the end of an answer.
pub fn collect(handle: &Handle) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    let mut outputs = Vec::new();
    while !matches!(outputs.last(), Some(Output::Finished { .. } | Output::Error(_))) {
        assert!(Instant::now() < deadline, "no end after {outputs:?}");
        outputs.extend(handle.take(SECOND));
    }
    let tokens = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Token { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    Answer { tokens, outputs }
}

pub fn answer(engine: &Engine, request: Request) -> Answer {
    collect(&engine.submit(request).expect("a valid request"))
}

/// Waits until something holds.
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_micros(200));
    }
}
