//! `Request`: a generation in progress and what it puts out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use farthing_engine::{Engine, Handle, Logprob, Output, Request, Timings};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::error::{FarthingError, Raise, detached};
use crate::params;
use crate::process::Owned;
use crate::processor::Raised;
use crate::wait::wait;

/// One generation in progress. Dropping it cancels it.
#[pyclass(frozen, name = "Request", module = "farthing._native")]
pub struct PyRequest {
    handle: Owned<Handle>,
    id: u64,
    raised: Raised,
    /// The error with which it ended, when outputs before it were taken.
    failed: Mutex<Option<PyErr>>,
    /// Whether the last output was taken.
    finished: AtomicBool,
}

impl PyRequest {
    /// Puts a request into the engine's queue.
    pub fn submit(
        py: Python<'_>,
        engine: &Engine,
        request: Request,
        raised: Raised,
    ) -> PyResult<PyRequest> {
        let handle = detached(py, || engine.submit(request))?;
        Ok(PyRequest {
            id: handle.id(),
            handle: Owned::new(handle),
            raised,
            failed: Mutex::default(),
            finished: AtomicBool::new(false),
        })
    }

    /// What there is to take within `slice`; `None` when there may be more later.
    fn poll(&self, handle: &Handle, slice: Duration) -> Option<Vec<Output>> {
        let outputs = handle.take(slice);
        if matches!(outputs.last(), Some(Output::Finished { .. } | Output::Error(_))) {
            self.finished.store(true, Ordering::Release);
        }
        (!outputs.is_empty() || self.finished.load(Ordering::Acquire)).then_some(outputs)
    }
}

#[pymethods]
impl PyRequest {
    /// Its number, unique within the engine.
    #[getter]
    fn id(&self) -> u64 {
        self.id
    }

    /// What was put out since the last call, in order, `Finished` being the last of all. Waits up to
    /// `timeout` seconds, or for ever, for the first; empty after that time, and at once when
    /// `Finished` has been taken. Raises `FarthingError` if the model failed, from the exception of a
    /// `logits_processor` if that did.
    #[pyo3(signature = (timeout=None))]
    fn take<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyList>> {
        let handle = self.handle.get()?;
        handle.check_thread().map_err(Raise::raise)?;
        if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let timeout = timeout.map(|seconds| params::seconds("timeout", seconds)).transpose()?;
        let outputs = wait(py, timeout, |slice| self.poll(handle, slice))?;
        let list = PyList::empty(py);
        for output in outputs.unwrap_or_default() {
            match output {
                Output::Token { id, logprob } => list.append(Token { id, logprob })?,
                Output::Finished { reason, usage, timings } => {
                    let (reason, context_shifted) = (reason.as_str(), usage.shifted_tokens);
                    list.append(Finished { reason, context_shifted, timings })?;
                }
                Output::Error(text) => {
                    let error = FarthingError::new_err(text);
                    error.set_cause(py, self.raised.take());
                    if list.is_empty() {
                        return Err(error);
                    }
                    *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        }
        Ok(list)
    }

    /// From now on `Engine.wait_ready` reports this request when it has something to take. What is there
    /// already is to be taken after this call.
    fn watch(&self) -> PyResult<()> {
        self.handle.get()?.watch();
        Ok(())
    }

    /// Gives the request up; it then ends as cancelled. Does nothing in a forked child.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        if !self.handle.is_here() {
            return Ok(());
        }
        let handle = self.handle.get()?;
        detached(py, || {
            handle.cancel();
            Ok::<_, PyErr>(())
        })
    }
}

/// A generated token.
#[pyclass(frozen, module = "farthing._native")]
pub struct Token {
    #[pyo3(get)]
    id: u32,
    logprob: Option<Logprob>,
}

#[pymethods]
impl Token {
    /// Its log-probability, where asked for.
    #[getter]
    fn logprob(&self) -> Option<f32> {
        self.logprob.as_ref().map(|logprob| logprob.logprob)
    }

    /// The most likely tokens with theirs, falling.
    #[getter]
    fn top(&self) -> Vec<(u32, f32)> {
        self.logprob.as_ref().map(|logprob| logprob.top.clone()).unwrap_or_default()
    }
}

/// The end of a generation.
#[pyclass(frozen, module = "farthing._native")]
pub struct Finished {
    /// `stop`, `length`, `timeout` or `cancelled`.
    #[pyo3(get)]
    reason: &'static str,
    /// Tokens thrown away when the context was full.
    #[pyo3(get)]
    context_shifted: usize,
    timings: Timings,
}

#[pymethods]
impl Finished {
    /// Prompt tokens taken from earlier requests.
    #[getter]
    fn cached_n(&self) -> usize {
        self.timings.cached_n
    }

    /// Prompt tokens computed.
    #[getter]
    fn prompt_n(&self) -> usize {
        self.timings.prompt_n
    }

    /// Milliseconds from the first pass to the first token.
    #[getter]
    fn prompt_ms(&self) -> f64 {
        self.timings.prompt_ms
    }

    /// Tokens chosen.
    #[getter]
    fn predicted_n(&self) -> usize {
        self.timings.predicted_n
    }

    /// Milliseconds from the first token to the end.
    #[getter]
    fn predicted_ms(&self) -> f64 {
        self.timings.predicted_ms
    }

    /// Tokens guessed and computed.
    #[getter]
    fn draft_n(&self) -> usize {
        self.timings.draft_n
    }

    /// Those of them that were right.
    #[getter]
    fn draft_n_accepted(&self) -> usize {
        self.timings.draft_n_accepted
    }

    /// Milliseconds in the queue, before the first pass.
    #[getter]
    fn queue_ms(&self) -> f64 {
        self.timings.queue_ms
    }
}
