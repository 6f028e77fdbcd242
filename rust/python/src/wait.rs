//! Waiting so that Ctrl-C gets through.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::error::detached;

/// The longest wait before signals are looked at.
const SLICE: Duration = Duration::from_millis(50);

/// Calls `poll`, detached, with a time that it may wait until it gives something; `None` when the
/// timeout has passed, which may be none. Raises what a signal handler raises, such as
/// `KeyboardInterrupt`.
pub fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    poll: impl Fn(Duration) -> Option<T> + Sync,
) -> PyResult<Option<T>> {
    let start = Instant::now();
    loop {
        py.check_signals()?;
        let left = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
        let slice = left.map_or(SLICE, |left| left.min(SLICE));
        let found = detached(py, || Ok::<_, PyErr>(poll(slice)))?;
        if found.is_some() || left == Some(slice) {
            return Ok(found);
        }
    }
}
