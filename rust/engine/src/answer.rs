//! A result that comes once: the caller's end and the engine's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::gate::{Flag, Gate};
use crate::handle::Canceller;

/// A result under way. Dropping it cancels the request.
pub struct Answer<T> {
    id: u64,
    place: Arc<Place<T>>,
    canceller: Canceller,
}

impl<T> Answer<T> {
    /// The request's number, unique within the engine.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Waits up to `timeout` for the result. It is given once; `None` before and, at once, after that.
    pub fn wait(&self, timeout: Duration) -> Option<Result<T>> {
        let (mut state, _) = self
            .place
            .arrival
            .wait_timeout_while(self.place.lock(), timeout, |state| !state.given)
            .unwrap_or_else(PoisonError::into_inner);
        state.result.take()
    }

    /// From now on [`Engine::wait_ready`](crate::Engine::wait_ready) reports this request when there is
    /// its result. What is there already is to be taken after this call.
    pub fn watch(&self) {
        self.place.watched.store(true, Ordering::SeqCst);
    }

    /// Gives the request up; its result is then [`Error::Cancelled`], unless it is there already.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }
}

/// The engine's end. Dropping it before there is a result leaves an error.
pub(crate) struct Promise<T> {
    place: Arc<Place<T>>,
    cancelled: Flag,
    /// What the delivery brings.
    result: Option<Result<T>>,
}

/// The two ends of a request of this number.
pub(crate) fn answer<T>(id: u64, gate: Arc<Gate>) -> (Answer<T>, Promise<T>) {
    let place = Arc::<Place<T>>::default();
    let canceller = Canceller::new(gate);
    let promise = Promise { place: place.clone(), cancelled: canceller.flag(), result: None };
    (Answer { id, place, canceller }, promise)
}

impl<T> Promise<T> {
    /// Ends with this, unless there is a result already.
    pub fn put(&mut self, result: Result<T>) {
        self.result.get_or_insert(result);
    }

    /// Whether there is a result to be delivered.
    pub fn is_ready(&self) -> bool {
        self.result.is_some()
    }

    /// Lets the caller have the result, if there is one; true if its reader wants to be told of it.
    pub fn deliver(&mut self) -> bool {
        let Some(result) = self.result.take() else {
            return false;
        };
        let mut state = self.place.lock();
        if !state.given {
            *state = State { result: Some(result), given: true };
            drop(state);
            self.place.arrival.notify_all();
        }
        self.place.watched.load(Ordering::SeqCst)
    }

    pub fn flag(&self) -> &Flag {
        &self.cancelled
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.put(Err(Error::Failed("the engine stopped".into())));
        self.deliver();
    }
}

struct Place<T> {
    state: Mutex<State<T>>,
    arrival: Condvar,
    watched: AtomicBool,
}

struct State<T> {
    result: Option<Result<T>>,
    given: bool,
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        let state = State { result: None, given: false };
        Place { state: Mutex::new(state), arrival: Condvar::new(), watched: AtomicBool::default() }
    }
}

impl<T> Place<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
