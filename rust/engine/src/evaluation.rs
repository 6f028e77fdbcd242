//! Logits of every position of a text: the caller's end and the engine's.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::gate::{Flag, Gate};
use crate::handle::Canceller;

/// An evaluation under way. Dropping it cancels it.
pub struct Evaluation {
    answer: Arc<Answer>,
    canceller: Canceller,
}

impl Evaluation {
    /// Waits up to `timeout` for the logits, `n_tokens * n_vocab` numbers, a row for each token. The
    /// result is given once; `None` before and, at once, after that.
    pub fn wait(&self, timeout: Duration) -> Option<Result<Vec<f32>>> {
        let (mut state, _) = self
            .answer
            .arrival
            .wait_timeout_while(self.answer.lock(), timeout, |state| !state.given)
            .unwrap_or_else(PoisonError::into_inner);
        state.result.take()
    }

    /// Gives the evaluation up; its result is then [`Error::Cancelled`], unless it is there already.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }
}

#[derive(Default)]
struct Answer {
    state: Mutex<AnswerState>,
    arrival: Condvar,
}

#[derive(Default)]
struct AnswerState {
    result: Option<Result<Vec<f32>>>,
    given: bool,
}

impl Answer {
    fn lock(&self) -> MutexGuard<'_, AnswerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's side: collects the rows.
pub(crate) struct Collector {
    answer: Arc<Answer>,
    cancelled: Flag,
    logits: Vec<f32>,
    /// What the delivery brings.
    result: Option<Result<Vec<f32>>>,
}

/// A new evaluation's two ends, for `n_logits` logits.
pub(crate) fn evaluation(n_logits: usize, gate: Arc<Gate>) -> Result<(Evaluation, Collector)> {
    let mut logits = Vec::new();
    logits.try_reserve_exact(n_logits).map_err(|_| {
        Error::Failed(format!("there is no memory for {n_logits} logits of 4 bytes"))
    })?;
    let answer = Arc::<Answer>::default();
    let canceller = Canceller::new(gate);
    let cancelled = canceller.flag();
    let collector = Collector { answer: answer.clone(), cancelled, logits, result: None };
    Ok((Evaluation { answer, canceller }, collector))
}

impl Collector {
    /// Takes the rows from float `at` on. A preempted evaluation comes with rows that are here
    /// already: they are the same again.
    pub fn put(&mut self, at: usize, rows: &[f32]) {
        self.logits.truncate(at);
        self.logits.extend_from_slice(rows);
    }

    /// Ends with the logits.
    pub fn finish(&mut self) {
        self.result = Some(Ok(std::mem::take(&mut self.logits)));
    }

    /// Ends without logits.
    pub fn fail(&mut self, error: Error) {
        self.result = Some(Err(error));
    }

    /// Lets the caller have the result, if there is one.
    pub fn deliver(&mut self) {
        if let Some(result) = self.result.take() {
            let mut state = self.answer.lock();
            if !state.given {
                *state = AnswerState { result: Some(result), given: true };
                drop(state);
                self.answer.arrival.notify_all();
            }
        }
    }

    pub fn flag(&self) -> &Flag {
        &self.cancelled
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.result.get_or_insert_with(|| Err(Error::Failed("the engine stopped".into())));
        self.deliver();
    }
}
