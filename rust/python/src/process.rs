//! Values that belong to the process that made them, and the interpreter that a process began with.

use std::mem;
use std::process;
use std::sync::Arc;

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::FarthingError;

/// A value with threads behind it, which a forked child does not have: using it there is an error,
/// and dropping it there does nothing, as it would wait for them for ever.
pub struct Owned<T> {
    value: Arc<T>,
    pid: u32,
}

impl<T> Owned<T> {
    /// Owned by this process.
    pub fn new(value: T) -> Owned<T> {
        Owned { value: Arc::new(value), pid: process::id() }
    }

    /// Whether this process is the owner.
    pub fn is_here(&self) -> bool {
        process::id() == self.pid
    }

    /// The value. Raises `FarthingError` in another process than the owner.
    pub fn get(&self) -> PyResult<&T> {
        if self.is_here() {
            return Ok(&self.value);
        }
        Err(FarthingError::new_err(format!(
            "the model was loaded by process {}, and this is process {}, forked from it; load the \
             model in each process, or start processes by \"spawn\"",
            self.pid,
            process::id()
        )))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.is_here() {
            mem::forget(Arc::clone(&self.value));
        }
    }
}

/// Raises `ImportError` in a subinterpreter: the types, and the engine's threads that call Python, are
/// those of the main one. From Python 3.12 on, Python itself refuses before this is called.
pub fn expect_main_interpreter(_py: Python<'_>) -> PyResult<()> {
    // SAFETY: this thread is attached to an interpreter, which outlives the call.
    let id = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if id == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err(format!(
        "farthing._native does not support loading in subinterpreters, and this is interpreter {id}; \
         load models in the main one, or in processes of their own"
    )))
}
