//! Where the time of passes goes, by part. Off, it costs a branch.
//!
//! The thread that leads says which part it is at ([`Profile::enter`]); parts nest, and time belongs
//! to the innermost. The team adds how long its regions took and how long its threads were at work in
//! them: the rest of a part ran on one thread, the rest of the regions was waiting.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

macro_rules! parts {
    ($($part:ident: $name:literal,)*) => {
        /// A part of a pass, or of the engine's work around it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Part {
            $(#[doc = concat!("`", $name, "`.")] $part,)*
        }

        const NAMES: &[&str] = &[$($name),*];
    };
}

parts! {
    Embedding: "embedding",
    Norm: "norms",
    Quantize: "quantize activations",
    Qkv: "qkv product",
    Rope: "rope",
    KvWrite: "kv write",
    Attention: "attention",
    Recurrence: "recurrence",
    Output: "attention output product",
    Ffn: "ffn products",
    Activation: "activation",
    Router: "router",
    Experts: "experts' products",
    Gather: "experts' gather and sum",
    Residual: "residual",
    Head: "output head",
    Pass: "rest of the pass",
    Sampling: "sampling",
    Engine: "engine",
}

/// No part: time that is not counted.
const NOWHERE: usize = NAMES.len();

/// Nanoseconds of one part.
#[derive(Default)]
struct Times {
    /// In all.
    wall: AtomicU64,
    /// Of that in regions.
    regions: AtomicU64,
    /// At work in regions, all threads together.
    busy: AtomicU64,
}

/// The times of each part. One thread enters and leaves; any may start, stop and read.
pub struct Profile {
    n_threads: usize,
    on: AtomicBool,
    zero: Instant,
    part: AtomicUsize,
    since: AtomicU64,
    passes: AtomicU64,
    tokens: AtomicU64,
    times: [Times; NAMES.len()],
}

/// One part's share, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartTime {
    /// The part.
    pub name: &'static str,
    /// From beginning to end.
    pub ms: f64,
    /// Of that on one thread.
    pub alone_ms: f64,
    /// Of that lost by threads that waited for others: the mean over the threads.
    pub waiting_ms: f64,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Forward passes.
    pub passes: u64,
    /// Tokens computed in them.
    pub tokens: u64,
    /// The parts that took any time, in the order of a pass.
    pub parts: Vec<PartTime>,
}

impl Profile {
    /// A profile of a team of so many threads, off.
    pub fn new(n_threads: usize) -> Profile {
        Profile {
            n_threads,
            on: AtomicBool::new(false),
            zero: Instant::now(),
            part: AtomicUsize::new(NOWHERE),
            since: AtomicU64::new(0),
            passes: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            times: std::array::from_fn(|_| Times::default()),
        }
    }

    /// Begins to measure, from zero.
    pub fn start(&self) {
        for times in &self.times {
            for counter in [&times.wall, &times.regions, &times.busy] {
                counter.store(0, Ordering::Relaxed);
            }
        }
        self.passes.store(0, Ordering::Relaxed);
        self.tokens.store(0, Ordering::Relaxed);
        self.part.store(NOWHERE, Ordering::Relaxed);
        self.on.store(true, Ordering::Release);
    }

    /// Ends measuring and tells what was measured.
    pub fn stop(&self) -> Report {
        self.on.store(false, Ordering::Relaxed);
        let ms = |ns: u64| ns as f64 / 1e6;
        let part = |(name, times): (&&'static str, &Times)| {
            let [wall, regions, busy] =
                [&times.wall, &times.regions, &times.busy].map(|t| t.load(Ordering::Relaxed));
            let n = self.n_threads as u64;
            (wall > 0).then(|| PartTime {
                name,
                ms: ms(wall),
                alone_ms: ms(wall.saturating_sub(regions)),
                waiting_ms: ms((regions * n).saturating_sub(busy)) / n as f64,
            })
        };
        Report {
            passes: self.passes.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
            parts: NAMES.iter().zip(&self.times).filter_map(part).collect(),
        }
    }

    /// What follows belongs to this part, until the guard is dropped.
    pub fn enter(&self, part: Part) -> Entered<'_> {
        let before = self.on.load(Ordering::Relaxed).then(|| self.switch(part as usize));
        Entered { profile: self, before }
    }

    /// Counts a pass that computes so many tokens.
    pub fn pass(&self, tokens: usize) {
        if self.on.load(Ordering::Relaxed) {
            self.passes.fetch_add(1, Ordering::Relaxed);
            self.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
        }
    }

    /// To another part; gives the one before.
    fn switch(&self, to: usize) -> usize {
        let now = self.now();
        let from = self.part.swap(to, Ordering::Relaxed);
        let since = self.since.swap(now, Ordering::Relaxed);
        if let Some(times) = self.times.get(from) {
            times.wall.fetch_add(now.saturating_sub(since), Ordering::Relaxed);
        }
        from
    }

    fn now(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    /// The time, while measuring.
    pub(crate) fn clock(&self) -> Option<u64> {
        self.on.load(Ordering::Relaxed).then(|| self.now())
    }

    /// A thread was at work in a region since then.
    pub(crate) fn worked(&self, since: Option<u64>) {
        self.add(since, |times| &times.busy);
    }

    /// A region has lasted since then.
    pub(crate) fn region(&self, since: Option<u64>) {
        self.add(since, |times| &times.regions);
    }

    fn add(&self, since: Option<u64>, counter: impl Fn(&Times) -> &AtomicU64) {
        if let (Some(since), Some(times)) =
            (since, self.times.get(self.part.load(Ordering::Relaxed)))
        {
            counter(times).fetch_add(self.now().saturating_sub(since), Ordering::Relaxed);
        }
    }
}

/// Goes back to the part before.
pub struct Entered<'a> {
    profile: &'a Profile,
    before: Option<usize>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            self.profile.switch(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, sleep};
    use std::time::Duration;

    use super::*;
    use crate::team::Team;

    #[test]
    fn time_belongs_to_the_innermost_part() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        let profile = team.profile();
        let pause = |ms| sleep(Duration::from_millis(ms));
        profile.start();
        profile.pass(5);
        {
            let _outer = profile.enter(Part::Pass);
            pause(10);
            let _inner = profile.enter(Part::Ffn);
            // The other thread takes its part, however late it comes.
            let present = AtomicU64::new(0);
            team.for_each(2, 1, &|_| {
                present.fetch_add(1, Ordering::Relaxed);
                while present.load(Ordering::Relaxed) < 2 {
                    thread::yield_now();
                }
                pause(20);
            });
        }
        pause(10);
        let report = profile.stop();
        assert_eq!((report.passes, report.tokens), (1, 5));
        let [ffn, pass] = report.parts[..] else { panic!("{report:?}") };
        assert_eq!((ffn.name, pass.name), ("ffn products", "rest of the pass"));
        assert!(pass.ms >= 10.0 && pass.alone_ms == pass.ms, "{report:?}");
        assert!(ffn.ms >= 10.0 && ffn.alone_ms < ffn.ms / 2.0, "{report:?}");
        assert!(ffn.waiting_ms < ffn.ms, "{report:?}");
    }

    #[test]
    fn off_it_counts_nothing() {
        let profile = Profile::new(1);
        drop(profile.enter(Part::Norm));
        profile.pass(3);
        assert_eq!(profile.stop(), Report::default());
    }
}
