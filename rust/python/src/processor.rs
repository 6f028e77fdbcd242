//! `logits_processor`: Python's callables within a generation.

use std::sync::{Arc, Mutex, PoisonError};

use farthing_engine::LogitsProcessor;
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Callables that change a request's logits, one after the other: `(input_ids: int64[n], scores:
/// float32[n_vocab]) -> scores`. The interpreter is attached to for as long as they run.
#[derive(Debug)]
pub struct PyProcessor {
    callables: Vec<Py<PyAny>>,
    raised: Raised,
}

/// The exception that a callable has raised, for who reads the request.
#[derive(Clone, Debug, Default)]
pub struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// The exception, once.
    pub fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, error: PyErr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

impl PyProcessor {
    /// Of these callables; `raised` gets the exception that ends it.
    pub fn new(callables: Vec<Py<PyAny>>, raised: Raised) -> PyProcessor {
        PyProcessor { callables, raised }
    }

    fn call(&self, py: Python<'_>, tokens: &[u32], logits: &mut [f32]) -> PyResult<()> {
        let numpy = py.import("numpy")?;
        for callable in &self.callables {
            let input_ids = PyArray1::from_iter(py, tokens.iter().map(|&id| i64::from(id)));
            let scores = PyArray1::from_slice(py, logits);
            let result = callable.bind(py).call1((input_ids, scores))?;
            let kind = PyDict::new(py);
            kind.set_item("dtype", "float32")?;
            let result = numpy.call_method("asarray", (&result,), Some(&kind))?;
            let result = result.cast_into::<PyArrayDyn<f32>>()?;
            if result.shape() != [logits.len()] {
                return Err(PyTypeError::new_err(format!(
                    "logits_processor must return scores of shape ({},), but gave {}",
                    logits.len(),
                    result.getattr("shape")?
                )));
            }
            let result = result.readonly();
            logits.iter_mut().zip(result.as_array()).for_each(|(logit, score)| *logit = *score);
        }
        Ok(())
    }
}

impl LogitsProcessor for PyProcessor {
    fn process(&self, tokens: &[u32], logits: &mut [f32]) -> Result<(), String> {
        let outcome = Python::try_attach(|py| {
            self.call(py, tokens, logits).map_err(|error| {
                let message = format!("logits_processor raised {error}");
                self.raised.put(error);
                message
            })
        });
        outcome.unwrap_or_else(|| Err("the Python interpreter is shutting down".to_owned()))
    }
}
