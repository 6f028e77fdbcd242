//! The threads: a leader and its workers, who wait for the next job by spinning.
//!
//! A token is some hundred regions of a few microseconds to some milliseconds each. Waking a thread
//! for each costs 10 µs and more, so the workers are called once for a forward pass, or for as long
//! as anything decodes ([`Team::awake`]), and meanwhile watch a counter: a region then costs about
//! half a microsecond. The threads belong to one rayon pool and return to it in between. Spinning is
//! bounded, then they yield, then they park, so that a machine with fewer cores than threads, or a
//! container with a quota, goes on.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::raw::RawMut;

/// Spins before yielding: about 50 µs.
const SPINS: u32 = 2_000;
/// Yields before parking: some hundred microseconds on an idle machine.
const YIELDS: u32 = 200;

/// A region's work, called with the number of the thread: the leader is 0.
type Job = *const (dyn Fn(usize) + Sync);

#[repr(align(64))]
struct Line<T>(T);

struct Shared {
    /// Counts the jobs; a change is the call to run `job`.
    epoch: Line<AtomicU32>,
    /// The job of the epoch; none sends the workers home. Written only while all workers wait.
    job: UnsafeCell<Option<Job>>,
    /// For each worker the last epoch that it finished.
    done: Vec<Line<AtomicU32>>,
    parked: AtomicUsize,
    lock: Mutex<()>,
    bell: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    interrupt: Arc<AtomicBool>,
}

// SAFETY: `job` is the only field that is not Sync. The leader writes it before the Release store to
// `epoch` and only after every worker has stored that epoch's predecessor to `done`; workers read it
// after an Acquire load of the new epoch.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` refers to a closure that is Sync.
unsafe impl Send for Shared {}

/// A leader with its workers. One thread leads at a time: a team can be sent but not shared.
pub struct Team {
    shared: Arc<Shared>,
    pool: Option<rayon::ThreadPool>,
    mustered: Cell<bool>,
    awake: Cell<bool>,
}

impl Team {
    /// A team of `n_threads`, at least one, counting the thread that leads.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(n_threads: usize) -> Result<Team, String> {
        let n_workers = n_threads.max(1) - 1;
        let pool = (n_workers > 0)
            .then(|| {
                rayon::ThreadPoolBuilder::new()
                    .num_threads(n_workers)
                    .thread_name(|i| format!("farthing-{}", i + 1))
                    .build()
            })
            .transpose()
            .map_err(|e| format!("cannot start {n_workers} threads: {e}"))?;
        Ok(Team {
            shared: Arc::new(Shared {
                epoch: Line(AtomicU32::new(0)),
                job: UnsafeCell::new(None),
                done: (0..n_workers).map(|_| Line(AtomicU32::new(0))).collect(),
                parked: AtomicUsize::new(0),
                lock: Mutex::new(()),
                bell: Condvar::new(),
                panic: Mutex::new(None),
                interrupt: Arc::new(AtomicBool::new(false)),
            }),
            pool,
            mustered: Cell::new(false),
            awake: Cell::new(false),
        })
    }

    /// Threads, the leader included.
    pub fn n_threads(&self) -> usize {
        self.shared.done.len() + 1
    }

    /// While this is set, [`Team::for_each`] leaves out what it has not begun.
    pub fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.interrupt)
    }

    /// Whether results may be incomplete because of an interrupt.
    pub fn interrupted(&self) -> bool {
        self.shared.interrupt.load(Ordering::Relaxed)
    }

    /// Keeps the workers at hand after [`Team::muster`]'s guard is gone, or lets them go.
    pub fn awake(&self, awake: bool) {
        self.awake.set(awake);
        if !awake {
            self.dismiss();
        }
    }

    /// Calls the workers; they stay until the guard is dropped, or longer if the team is awake.
    pub fn muster(&self) -> Muster<'_> {
        if let Some(pool) = &self.pool
            && !self.mustered.replace(true)
        {
            let first = self.shared.epoch.0.load(Ordering::Relaxed);
            let shared = Arc::clone(&self.shared);
            pool.spawn_broadcast(move |context| work(&shared, context.index(), first));
        }
        Muster(self)
    }

    fn dismiss(&self) {
        if self.mustered.replace(false) {
            self.publish(None);
            self.join();
        }
    }

    /// Runs `f(thread)` once on every thread and returns when all have ended. Without a muster the
    /// leader does it alone, in turn. A panic in any of them goes on here after all have ended.
    pub fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        if !self.mustered.get() {
            (0..self.n_threads()).for_each(f);
            return;
        }
        // SAFETY: only the lifetime changes, and `join` below returns when no worker has the job.
        let job = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(f) };
        self.publish(Some(job));
        let mine = catch_unwind(AssertUnwindSafe(|| f(0)));
        self.join();
        let theirs = self.shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = mine.err().or(theirs) {
            resume_unwind(panic);
        }
    }

    /// Covers `0..n` by calls of `f` with ranges of at most `grain`, each index once. Every thread
    /// has a contiguous share of its own, for the memory's sake; the last eighth goes to whoever is
    /// free, for cores differ in speed.
    pub fn for_each(&self, n: usize, grain: usize, f: &(dyn Fn(Range<usize>) + Sync)) {
        let grain = grain.max(1);
        let threads = self.n_threads();
        if n <= grain || threads == 1 || !self.mustered.get() {
            cover(&self.shared.interrupt, 0..n, grain, f);
            return;
        }
        self.share(n, grain, n / threads * 7 / 8 / grain * grain, f);
    }

    /// The same for parts that take different times: each goes to whoever is free.
    pub fn for_each_in_turn(&self, n: usize, grain: usize, f: &(dyn Fn(Range<usize>) + Sync)) {
        let grain = grain.max(1);
        if n <= grain || self.n_threads() == 1 || !self.mustered.get() {
            cover(&self.shared.interrupt, 0..n, grain, f);
        } else {
            self.share(n, grain, 0, f);
        }
    }

    /// Changes rows of `data`, each `len` long: `f` gets the number of the first of at most `grain`
    /// rows, and the rows.
    ///
    /// # Panics
    /// `data` does not make whole rows.
    pub fn for_rows<T: Send>(
        &self,
        data: &mut [T],
        len: usize,
        grain: usize,
        f: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        assert!(data.len().is_multiple_of(len.max(1)), "rows of {len} in {}", data.len());
        let n = data.len() / len.max(1);
        let data = RawMut::new(data);
        self.for_each(n, grain, &|rows| {
            // SAFETY: each row is in one caller's range.
            f(rows.start, unsafe { data.slice(rows.start * len, rows.len() * len) });
        });
    }

    /// Every thread takes `own` of `n` and then what is left, by `grain`.
    fn share(&self, n: usize, grain: usize, own: usize, f: &(dyn Fn(Range<usize>) + Sync)) {
        let threads = self.n_threads();
        let next = AtomicUsize::new(own * threads);
        let interrupt = &*self.shared.interrupt;
        self.run(&|thread| {
            cover(interrupt, own * thread..own * (thread + 1), grain, f);
            loop {
                let start = next.fetch_add(grain, Ordering::Relaxed);
                if start >= n || interrupt.load(Ordering::Relaxed) {
                    break;
                }
                f(start..n.min(start + grain));
            }
        });
    }

    fn publish(&self, job: Option<Job>) {
        // SAFETY: every worker has finished the last epoch (`join`), so none reads the job now.
        unsafe { *self.shared.job.get() = job };
        self.shared.epoch.0.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) > 0 {
            let _guard = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.bell.notify_all();
        }
    }

    /// Waits for every worker to finish the epoch.
    fn join(&self) {
        let epoch = self.shared.epoch.0.load(Ordering::Relaxed);
        for done in &self.shared.done {
            let mut spins = 0;
            while done.0.load(Ordering::Acquire) != epoch {
                spins += 1;
                if spins < SPINS {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.dismiss();
    }
}

/// Keeps the workers at hand.
pub struct Muster<'a>(&'a Team);

impl Drop for Muster<'_> {
    fn drop(&mut self) {
        if !self.0.awake.get() {
            self.0.dismiss();
        }
    }
}

fn cover(interrupt: &AtomicBool, range: Range<usize>, grain: usize, f: &dyn Fn(Range<usize>)) {
    let mut start = range.start;
    while start < range.end && !interrupt.load(Ordering::Relaxed) {
        let end = range.end.min(start + grain);
        f(start..end);
        start = end;
    }
}

/// A worker's life between muster and dismissal.
fn work(shared: &Shared, index: usize, mut epoch: u32) {
    loop {
        epoch = shared.next(epoch);
        // SAFETY: the epoch was loaded with Acquire after the leader wrote the job, and the leader
        // does not write again before `done` below.
        let job = unsafe { *shared.job.get() };
        if let Some(job) = job {
            // SAFETY: the closure outlives the epoch: the leader waits for `done` below.
            let job = unsafe { &*job };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(index + 1))) {
                shared.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
        }
        shared.done[index].0.store(epoch, Ordering::Release);
        if job.is_none() {
            return;
        }
    }
}

impl Shared {
    /// Waits for the epoch after `last`.
    fn next(&self, last: u32) -> u32 {
        for i in 0..SPINS + YIELDS {
            let epoch = self.epoch.0.load(Ordering::Acquire);
            if epoch != last {
                return epoch;
            }
            if i < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.parked.fetch_add(1, Ordering::SeqCst);
        while self.epoch.0.load(Ordering::SeqCst) == last {
            guard = self.bell.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.parked.fetch_sub(1, Ordering::SeqCst);
        self.epoch.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_every_index_once() {
        let team = Team::new(3).unwrap();
        for mustered in [false, true] {
            let _guard = mustered.then(|| team.muster());
            for n in [0, 1, 7, 64, 1000] {
                for grain in [1, 3, 64] {
                    let seen: Vec<_> = (0..n).map(|_| AtomicU32::new(0)).collect();
                    let see = |range: Range<usize>| {
                        assert!(range.len() <= grain);
                        for i in range {
                            seen[i].fetch_add(1, Ordering::Relaxed);
                        }
                    };
                    team.for_each(n, grain, &see);
                    team.for_each_in_turn(n, grain, &see);
                    assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 2), "{n} {grain}");
                    let mut rows = vec![0; 3 * n];
                    team.for_rows(&mut rows, 3, grain, &|first, rows| {
                        rows.iter_mut().enumerate().for_each(|(i, x)| *x += 3 * first + i);
                    });
                    assert!(rows.iter().copied().eq(0..3 * n));
                }
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_leader_and_the_team_goes_on() {
        let team = Team::new(3).unwrap();
        let _guard = team.muster();
        for thread in 0..3 {
            let result = catch_unwind(AssertUnwindSafe(|| team.run(&|t| assert_ne!(t, thread))));
            assert!(result.is_err());
        }
        let count = AtomicUsize::new(0);
        team.run(&|_| _ = count.fetch_add(1, Ordering::Relaxed));
        assert_eq!(count.into_inner(), 3);
    }

    #[test]
    fn parked_workers_wake() {
        let team = Team::new(2).unwrap();
        team.awake(true);
        let count = AtomicUsize::new(0);
        for _ in 0..3 {
            let _guard = team.muster();
            std::thread::sleep(std::time::Duration::from_millis(20));
            team.run(&|_| _ = count.fetch_add(1, Ordering::Relaxed));
        }
        team.awake(false);
        assert_eq!(count.into_inner(), 6);
    }

    #[test]
    fn an_interrupt_leaves_the_rest_out() {
        let team = Team::new(2).unwrap();
        let _guard = team.muster();
        let count = AtomicUsize::new(0);
        team.for_each(1000, 1, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
            team_interrupt(&team.shared);
        });
        assert!(count.into_inner() <= 4);
    }

    fn team_interrupt(shared: &Shared) {
        shared.interrupt.store(true, Ordering::Relaxed);
    }
}
