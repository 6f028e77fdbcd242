//! Cancelling: which requests are in the pass in progress, and when to interrupt it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Set once a request is cancelled.
pub(crate) type Flag = Arc<AtomicBool>;

/// A pass is interrupted when nobody waits for any of its runs any more.
pub(crate) struct Gate {
    interrupts: Vec<Flag>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The flags of the requests in the pass in progress; empty between passes.
    pass: Vec<Flag>,
    closed: bool,
}

impl State {
    fn unwanted(&self) -> bool {
        self.closed || is_unwanted(&self.pass)
    }
}

fn is_unwanted(flags: &[Flag]) -> bool {
    flags.iter().all(|flag| flag.load(Ordering::SeqCst))
}

impl Gate {
    /// `interrupts` are the models' flags.
    pub fn new(interrupts: Vec<Flag>) -> Gate {
        Gate { interrupts, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a pass with runs of these requests; false, and no pass, when nobody waits for it.
    pub fn begin(&self, flags: Vec<Flag>) -> bool {
        let mut state = self.lock();
        state.pass = flags;
        if state.unwanted() {
            state.pass.clear();
            return false;
        }
        true
    }

    /// Ends the pass; the interrupt cannot reach the next one.
    pub fn end(&self) {
        let mut state = self.lock();
        state.pass.clear();
        self.set_interrupts(false);
    }

    /// Cancels the request with this flag.
    pub fn cancel(&self, flag: &Flag) {
        // The flag before the lock: a pass that begins later sees it.
        flag.store(true, Ordering::SeqCst);
        self.interrupt_if_unwanted(&self.lock());
    }

    /// Lets no further pass begin and interrupts the one in progress.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.interrupt_if_unwanted(&state);
    }

    fn interrupt_if_unwanted(&self, state: &State) {
        if !state.pass.is_empty() && state.unwanted() {
            self.set_interrupts(true);
        }
    }

    fn set_interrupts(&self, to: bool) {
        self.interrupts.iter().for_each(|flag| flag.store(to, Ordering::SeqCst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_only_a_pass_that_nobody_waits_for() {
        let interrupt = Flag::default();
        let gate = Gate::new(vec![interrupt.clone()]);
        let (a, b) = (Flag::default(), Flag::default());
        assert!(gate.begin(vec![a.clone(), b.clone()]));
        gate.cancel(&a);
        assert!(!interrupt.load(Ordering::SeqCst));
        gate.cancel(&b);
        assert!(interrupt.load(Ordering::SeqCst));
        gate.end();
        assert!(!interrupt.load(Ordering::SeqCst));

        assert!(!gate.begin(vec![a.clone()]));
        gate.cancel(&a);
        assert!(!interrupt.load(Ordering::SeqCst), "no pass is in progress");
    }

    #[test]
    fn closing_interrupts_and_lets_nothing_begin() {
        let interrupt = Flag::default();
        let gate = Gate::new(vec![interrupt.clone()]);
        assert!(gate.begin(vec![Flag::default()]));
        gate.close();
        assert!(interrupt.load(Ordering::SeqCst));
        gate.end();
        assert!(!gate.begin(vec![Flag::default()]));
    }
}
