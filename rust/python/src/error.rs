//! From the crates' errors to the exceptions of `farthing.errors`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use farthing_engine as engine;
use farthing_gguf as gguf;
use farthing_models as models;
use pyo3::PyErr;
use pyo3::prelude::*;

pyo3::import_exception!(farthing.errors, FarthingError);
pyo3::import_exception!(farthing.errors, ModelFileError);
pyo3::import_exception!(farthing.errors, UnsupportedModelError);
pyo3::import_exception!(farthing.errors, RequestError);
pyo3::import_exception!(farthing.errors, ContextLengthError);
pyo3::import_exception!(farthing.errors, OutOfMemoryError);
pyo3::import_exception!(farthing.errors, QueueFullError);

/// An error that has an exception of its own.
pub trait Raise {
    /// The exception.
    fn raise(self) -> PyErr;
}

impl Raise for PyErr {
    fn raise(self) -> PyErr {
        self
    }
}

impl Raise for gguf::Error {
    fn raise(self) -> PyErr {
        ModelFileError::new_err(self.to_string())
    }
}

impl Raise for engine::Error {
    fn raise(self) -> PyErr {
        let text = self.to_string();
        match self {
            engine::Error::PromptTooLong { .. } => ContextLengthError::new_err(text),
            engine::Error::EmptyPrompt
            | engine::Error::UnknownToken { .. }
            | engine::Error::Parameter { .. } => RequestError::new_err(text),
            engine::Error::QueueFull { .. } => QueueFullError::new_err(text),
            engine::Error::Closed | engine::Error::Cancelled | engine::Error::Failed(_) => {
                FarthingError::new_err(text)
            }
        }
    }
}

impl Raise for models::Error {
    fn raise(self) -> PyErr {
        use models::Error;

        let text = self.to_string();
        match self {
            Error::File(_)
            | Error::Parameter { .. }
            | Error::MissingTensor { .. }
            | Error::Shape { .. } => ModelFileError::new_err(text),
            Error::UnknownArchitecture { .. }
            | Error::UnsupportedType { .. }
            | Error::Adapter { .. } => UnsupportedModelError::new_err(text),
            Error::OutOfMemory { .. } | Error::States { .. } => OutOfMemoryError::new_err(text),
            Error::Option(_) | Error::Token { .. } => RequestError::new_err(text),
            Error::Interrupted => FarthingError::new_err(text),
        }
    }
}

/// Works detached from the interpreter. A panic, which only a mistake of ours causes, becomes a
/// `FarthingError`.
pub fn detached<T, E, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    F: FnOnce() -> Result<T, E> + Send,
    T: Send,
    E: Raise + Send,
{
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(result) => result.map_err(Raise::raise),
        Err(panic) => Err(FarthingError::new_err(format!("internal error: {}", message(&*panic)))),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic")
}
