//! The two ends of a request: the caller's [`Handle`] and the engine's [`Outbox`].

use std::collections::BTreeSet;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::gate::{Flag, Gate};
use crate::request::Output;

/// A request under way. Dropping it cancels the request.
pub struct Handle {
    id: u64,
    engine_thread: ThreadId,
    mailbox: Arc<Mailbox>,
    canceller: Canceller,
}

impl Handle {
    /// The request's number, unique within the engine.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Fails on the engine's own thread, where nobody can wait for outputs.
    pub fn check_thread(&self) -> Result<()> {
        check_thread(self.engine_thread)
    }

    /// The outputs since the last call. Waits up to `timeout` for the first one; empty after that
    /// time, and at once when the end of the answer has been taken.
    pub fn take(&self, timeout: Duration) -> Vec<Output> {
        let waiting = |mail: &mut Mail| mail.outputs.is_empty() && !mail.finished;
        let (mut mail, _) = self
            .mailbox
            .arrival
            .wait_timeout_while(self.mailbox.lock(), timeout, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut mail.outputs)
    }

    /// From now on [`Engine::wait_ready`](crate::Engine::wait_ready) reports this request when it has new
    /// outputs. Those that are there already are to be taken after this call.
    pub fn watch(&self) {
        self.mailbox.watched.store(true, Ordering::SeqCst);
    }

    /// Gives the request up; it then ends as `Cancelled`, unless it has ended already.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }
}

/// Cancels its request when dropped.
pub(crate) struct Canceller {
    flag: Flag,
    gate: Arc<Gate>,
}

impl Canceller {
    pub fn new(gate: Arc<Gate>) -> Canceller {
        Canceller { flag: Flag::default(), gate }
    }

    pub fn flag(&self) -> Flag {
        self.flag.clone()
    }

    pub fn cancel(&self) {
        self.gate.cancel(&self.flag);
    }
}

impl Drop for Canceller {
    fn drop(&mut self) {
        self.cancel();
    }
}

pub(crate) fn check_thread(engine_thread: ThreadId) -> Result<()> {
    if thread::current().id() == engine_thread { Err(Error::OwnThread) } else { Ok(()) }
}

/// A new request's two ends.
pub(crate) fn mailbox(id: u64, engine_thread: ThreadId, gate: Arc<Gate>) -> (Handle, Outbox) {
    let mailbox = Arc::<Mailbox>::default();
    let canceller = Canceller::new(gate);
    let outbox =
        Outbox { mailbox: mailbox.clone(), cancelled: canceller.flag(), mail: Mail::default() };
    let handle = Handle { id, engine_thread, mailbox, canceller };
    (handle, outbox)
}

/// Where the engine puts a request's outputs. Dropping it before the last one leaves an error, so
/// that nobody waits for ever.
pub(crate) struct Outbox {
    mailbox: Arc<Mailbox>,
    cancelled: Flag,
    /// What the next delivery brings.
    mail: Mail,
}

impl Outbox {
    /// Adds an output.
    pub fn put(&mut self, output: Output) {
        self.mail.outputs.push(output);
    }

    /// Adds the output that ends the answer.
    pub fn put_last(&mut self, output: Output) {
        self.put(output);
        self.mail.finished = true;
    }

    /// Lets the caller have what was added; true if its reader wants to be told of it.
    pub fn deliver(&mut self) -> bool {
        let mut mail = self.mailbox.lock();
        mail.outputs.append(&mut self.mail.outputs);
        mail.finished |= self.mail.finished;
        drop(mail);
        self.mailbox.arrival.notify_all();
        // A reader that is not seen here has not looked into the mailbox yet.
        self.mailbox.watched.load(Ordering::SeqCst)
    }

    pub fn flag(&self) -> &Flag {
        &self.cancelled
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if !self.mail.finished {
            self.put_last(Output::Error("the engine stopped".into()));
        }
        self.deliver();
    }
}

#[derive(Default)]
struct Mailbox {
    mail: Mutex<Mail>,
    arrival: Condvar,
    watched: AtomicBool,
}

#[derive(Default)]
struct Mail {
    outputs: Vec<Output>,
    finished: bool,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests that have outputs which their readers have not been told of.
#[derive(Default)]
pub(crate) struct Ready {
    state: Mutex<ReadyState>,
    arrival: Condvar,
}

#[derive(Default)]
struct ReadyState {
    ids: BTreeSet<u64>,
    closed: bool,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, ReadyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports requests; never waits for the reader.
    pub fn push(&self, ids: impl IntoIterator<Item = u64>) {
        let mut state = self.lock();
        state.ids.extend(ids);
        let any = !state.ids.is_empty();
        drop(state);
        if any {
            self.arrival.notify_all();
        }
    }

    /// Lets [`Ready::wait`] return at once from now on.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrival.notify_all();
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The requests reported since the last call, rising; waits up to `timeout` for the first.
    pub fn wait(&self, timeout: Duration) -> Vec<u64> {
        let waiting = |state: &mut ReadyState| state.ids.is_empty() && !state.closed;
        let (mut state, _) = self
            .arrival
            .wait_timeout_while(self.lock(), timeout, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut state.ids).into_iter().collect()
    }
}
