//! What requests say about sampling beyond numbers.

use std::sync::Arc;

use farthing_engine::Breakers;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The samplers' names with their letters in llama.cpp's `--sampler-seq`, in their default order.
#[pyfunction]
pub fn samplers(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let names = PyDict::new(py);
    for (name, letter) in farthing_engine::samplers() {
        names.set_item(name, letter)?;
    }
    Ok(names)
}

/// Token sequences across which DRY does not take text for repeated, for use by many requests.
#[pyclass(frozen, name = "Breakers", module = "farthing._native")]
pub struct PyBreakers {
    breakers: Arc<Breakers>,
}

impl PyBreakers {
    /// For a request.
    pub fn breakers(&self) -> Arc<Breakers> {
        self.breakers.clone()
    }
}

#[pymethods]
impl PyBreakers {
    /// From first tokens, each with a list of those that follow it.
    #[new]
    fn new(sequences: Vec<(u32, Vec<u32>)>) -> PyBreakers {
        PyBreakers { breakers: Arc::new(Breakers::new(sequences)) }
    }
}
