//! The threads: a leader and its workers, who wait for the next job by spinning.
//!
//! A token is some hundred regions of a few microseconds to some milliseconds each. Waking a thread
//! for each costs 10 µs and more, so the workers are called once for a forward pass, or for as long
//! as anything decodes ([`Team::awake`]), and meanwhile watch a counter: a region then costs about
//! half a microsecond. The threads belong to one rayon pool and return to it in between.
//!
//! Threads are not always given a core: others use the machine, a container has a quota. So nobody
//! spins for long: then they yield, then they sleep. And nobody waits for a worker that has not
//! begun: who has ended its own share takes from the others', and the leader closes a region to the
//! workers that have not entered it when no work is left.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::isa::FlushDenormals;
use crate::profile::{Entered, Part, Profile};
use crate::raw::RawMut;

/// Spins before yielding: about 50 µs.
const SPINS: u32 = 2_000;
/// Yields before sleeping: some hundred microseconds on an idle machine.
const YIELDS: u32 = 200;
/// How long the leader sleeps at a time when a worker that has begun is not running.
const NAP: Duration = Duration::from_micros(50);

/// A region's work, called with the number of the thread: the leader is 0.
type Job = *const (dyn Fn(usize) + Sync);

#[repr(align(64))]
struct Line<T>(T);

/// A worker's own memory.
struct Slot {
    /// `2 * e` when epoch `e` is over for the worker, `2 * e + 1` while it is in it. The worker
    /// enters the epoch, the leader closes it; whoever comes first changes the number.
    state: Line<AtomicU64>,
}

struct Shared {
    /// Counts the jobs; a change is the call to run `job`.
    epoch: Line<AtomicU64>,
    /// The job of the epoch; none sends the workers home. Written only while no worker is in it.
    job: UnsafeCell<Option<Job>>,
    slots: Vec<Slot>,
    /// For each thread, the leader included, how much of its share is taken.
    taken: Vec<Line<AtomicUsize>>,
    parked: AtomicUsize,
    lock: Mutex<()>,
    bell: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    interrupt: Arc<AtomicBool>,
    profile: Arc<Profile>,
}

// SAFETY: `job` is the only field that is not Sync. The leader writes it before the Release store to
// `epoch`, when all workers' states say that the last epoch is over for them; a worker reads it after
// it has entered the epoch, which keeps the leader from closing it.
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
                epoch: Line(AtomicU64::new(0)),
                job: UnsafeCell::new(None),
                slots: (0..n_workers).map(|_| Slot { state: Line(AtomicU64::new(0)) }).collect(),
                taken: (0..=n_workers).map(|_| Line(AtomicUsize::new(0))).collect(),
                parked: AtomicUsize::new(0),
                lock: Mutex::new(()),
                bell: Condvar::new(),
                panic: Mutex::new(None),
                interrupt: Arc::new(AtomicBool::new(false)),
                profile: Arc::new(Profile::new(n_workers + 1)),
            }),
            pool,
            mustered: Cell::new(false),
            awake: Cell::new(false),
        })
    }

    /// Threads, the leader included.
    pub fn n_threads(&self) -> usize {
        self.shared.taken.len()
    }

    /// While this is set, [`Team::for_each`] leaves out what it has not begun.
    pub fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.interrupt)
    }

    /// Whether results may be incomplete because of an interrupt.
    pub fn interrupted(&self) -> bool {
        self.shared.interrupt.load(Ordering::Relaxed)
    }

    /// Where the team's time goes.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.shared.profile
    }

    /// What follows belongs to this part of the profile, until the guard is dropped.
    pub fn part(&self, part: Part) -> Entered<'_> {
        self.shared.profile.enter(part)
    }

    /// Keeps the workers at hand after [`Team::muster`]'s guard is gone, or lets them go.
    pub fn awake(&self, awake: bool) {
        self.awake.set(awake);
        if !awake {
            self.dismiss();
        }
    }

    /// Calls the workers; they stay until the guard is dropped, or longer if the team is awake. Until
    /// then denormal results are zeros, on all threads: they can make a kernel several times slower.
    pub fn muster(&self) -> Muster<'_> {
        if let Some(pool) = &self.pool
            && !self.mustered.replace(true)
        {
            let first = self.shared.epoch.0.load(Ordering::Relaxed);
            let shared = Arc::clone(&self.shared);
            pool.spawn_broadcast(move |context| work(&shared, context.index(), first));
        }
        Muster { team: self, _denormals: FlushDenormals::begin() }
    }

    fn dismiss(&self) {
        if self.mustered.replace(false) {
            self.publish(None);
            for slot in &self.shared.slots {
                self.shared.wait(slot);
            }
        }
    }

    /// Covers `0..n` by calls of `f` with ranges of at most `grain`, each index once. Every thread
    /// begins with a contiguous share of its own, for the memory's sake, and goes on with what is
    /// left of the others'. Without a muster the leader does it alone. A panic in any of them goes on
    /// here after all have ended.
    pub fn for_each(&self, n: usize, grain: usize, f: &(dyn Fn(Range<usize>) + Sync)) {
        let grain = grain.max(1);
        let interrupt = &*self.shared.interrupt;
        if n <= grain || self.n_threads() == 1 || !self.mustered.get() {
            for start in (0..n).step_by(grain) {
                if interrupt.load(Ordering::Relaxed) {
                    break;
                }
                f(start..n.min(start + grain));
            }
            return;
        }
        let threads = self.n_threads();
        let grains = n.div_ceil(grain);
        let bound = |thread: usize| (grains * thread / threads * grain).min(n);
        for (thread, taken) in self.shared.taken.iter().enumerate() {
            taken.0.store(bound(thread), Ordering::Relaxed);
        }
        let taken = &self.shared.taken;
        self.run(&|thread| {
            for share in (thread..threads).chain(0..thread) {
                let end = bound(share + 1);
                while !interrupt.load(Ordering::Relaxed) {
                    let start = taken[share].0.fetch_add(grain, Ordering::Relaxed);
                    if start >= end {
                        break;
                    }
                    f(start..end.min(start + grain));
                }
            }
        });
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

    /// Runs `f(thread)` here and on the workers that come before `f` has ended here: `f` must do what
    /// no other thread does.
    fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        let profile = &*self.shared.profile;
        let start = profile.clock();
        // SAFETY: only the lifetime changes, and when `close` returns no worker is in the job nor
        // can enter it.
        let job = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(f) };
        self.publish(Some(job));
        let mine = catch_unwind(AssertUnwindSafe(|| f(0)));
        profile.worked(start);
        self.close();
        profile.region(start);
        let theirs = self.shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = mine.err().or(theirs) {
            resume_unwind(panic);
        }
    }

    fn publish(&self, job: Option<Job>) {
        // SAFETY: the last epoch is over for every worker, so none reads the job now.
        unsafe { *self.shared.job.get() = job };
        self.shared.epoch.0.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) > 0 {
            let _guard = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.bell.notify_all();
        }
    }

    /// Ends the epoch for the workers that have not entered it, and waits for the others.
    fn close(&self) {
        let epoch = self.shared.epoch.0.load(Ordering::Relaxed);
        for slot in &self.shared.slots {
            let (before, over) = (2 * (epoch - 1), 2 * epoch);
            let state = &slot.state.0;
            if state.load(Ordering::Acquire) != over
                && state
                    .compare_exchange(before, over, Ordering::Acquire, Ordering::Acquire)
                    .is_err()
            {
                self.shared.wait(slot);
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
pub struct Muster<'a> {
    team: &'a Team,
    _denormals: FlushDenormals,
}

impl Drop for Muster<'_> {
    fn drop(&mut self) {
        if !self.team.awake.get() {
            self.team.dismiss();
        }
    }
}

/// A worker's life between muster and dismissal; `epoch` is the last one before the muster.
fn work(shared: &Shared, index: usize, mut epoch: u64) {
    let _denormals = FlushDenormals::begin();
    let state = &shared.slots[index].state.0;
    loop {
        epoch = shared.next(epoch);
        let (before, inside) = (2 * (epoch - 1), 2 * epoch + 1);
        if state.compare_exchange(before, inside, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // The epoch was closed before.
            continue;
        }
        // SAFETY: this worker is in the epoch, so the leader does not write the job.
        let job = unsafe { *shared.job.get() };
        if let Some(job) = job {
            let start = shared.profile.clock();
            // SAFETY: the closure lives while a worker is in the epoch: the leader waits for that.
            let job = unsafe { &*job };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(index + 1))) {
                shared.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
            shared.profile.worked(start);
        }
        state.store(2 * epoch, Ordering::Release);
        if job.is_none() {
            return;
        }
    }
}

impl Shared {
    /// Waits for an epoch after `last`.
    fn next(&self, last: u64) -> u64 {
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

    /// Waits until the epoch is over for a worker.
    fn wait(&self, slot: &Slot) {
        let over = 2 * self.epoch.0.load(Ordering::Relaxed);
        let mut waits = 0;
        while slot.state.0.load(Ordering::Acquire) != over {
            waits += 1;
            if waits < SPINS {
                std::hint::spin_loop();
            } else if waits < SPINS + YIELDS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(NAP);
            }
        }
    }
}

#[cfg(test)]
mod tests;
