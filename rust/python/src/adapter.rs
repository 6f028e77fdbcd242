//! `Adapter`: a low-rank adapter of a loaded model.

use std::sync::Arc;

use farthing_models::{Adapter, Adapters, Lora};
use pyo3::prelude::*;

use crate::error::RequestError;

/// A low-rank adapter, for requests to the engine that loaded it.
#[pyclass(frozen, name = "Adapter", module = "farthing._native")]
pub struct PyAdapter(pub Arc<Adapter>);

#[pymethods]
impl PyAdapter {
    /// How many of the model's matrices it changes.
    #[getter]
    fn n_matrices(&self) -> usize {
        self.0.n_matrices()
    }

    /// Bytes of its matrices.
    #[getter]
    fn n_bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The tensors of its file that are of no use.
    #[getter]
    fn ignored(&self) -> Vec<String> {
        self.0.ignored().to_vec()
    }
}

/// Adapters with their scales. Raises `RequestError` for one of another model.
pub fn adapters(lora: &Lora, value: &Bound<'_, PyAny>) -> PyResult<Adapters> {
    let pairs: Vec<(Py<PyAdapter>, f32)> = value.extract()?;
    for (adapter, scale) in &pairs {
        if !lora.owns(&adapter.get().0) {
            return Err(RequestError::new_err("lora has an adapter of another model"));
        }
        if !scale.is_finite() {
            let text = format!("lora has the scale {scale}, but it must be a finite number");
            return Err(RequestError::new_err(text));
        }
    }
    Ok(pairs.into_iter().map(|(adapter, scale)| (adapter.get().0.clone(), scale)).collect())
}
