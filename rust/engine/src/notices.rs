//! What the user should hear of.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::lock;

/// Those that nobody takes, at most.
const MOST: usize = 100;

/// For the reader of [`crate::Engine::wait_notices`].
#[derive(Default)]
pub(crate) struct Notices {
    state: Mutex<State>,
    arrival: Condvar,
}

#[derive(Default)]
struct State {
    texts: VecDeque<String>,
    closed: bool,
}

impl Notices {
    pub fn add(&self, text: String) {
        let mut state = lock(&self.state);
        state.texts.push_back(text);
        if state.texts.len() > MOST {
            state.texts.pop_front();
        }
        drop(state);
        self.arrival.notify_all();
    }

    /// There are no more.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.arrival.notify_all();
    }

    /// Those since the last call; waits up to `timeout` for the first. `None` when there are no more.
    pub fn wait(&self, timeout: Duration) -> Option<Vec<String>> {
        let waiting = |state: &mut State| state.texts.is_empty() && !state.closed;
        let (mut state, _) = self
            .arrival
            .wait_timeout_while(lock(&self.state), timeout, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let texts: Vec<String> = state.texts.drain(..).collect();
        (!texts.is_empty() || !state.closed).then_some(texts)
    }
}
