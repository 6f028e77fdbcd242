//! `Embeddings`: texts on their way to vectors.

use std::time::Duration;

use farthing_engine::{Answer, EmbeddingRequest, Engine};
use farthing_models::Pooling;
use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::error::detached;
use crate::params;
use crate::process::Owned;
use crate::wait::wait;

/// Embeddings of some texts in progress. Dropping it cancels them.
#[pyclass(frozen, name = "Embeddings", module = "farthing._native")]
pub struct PyEmbeddings {
    answer: Owned<Answer<Vec<Vec<f32>>>>,
    id: u64,
    /// The length of a vector, where there is one for each token.
    of_tokens: Option<usize>,
}

impl PyEmbeddings {
    /// Puts the texts into the engine's queue.
    pub fn submit(py: Python<'_>, engine: &Engine, request: EmbeddingRequest) -> PyResult<Self> {
        let abilities = engine.abilities();
        let pooling = request.pooling.unwrap_or(abilities.pooling);
        let of_tokens = (pooling == Pooling::None).then_some(abilities.width);
        let answer = detached(py, || engine.embed(request))?;
        Ok(PyEmbeddings { id: answer.id(), answer: Owned::new(answer), of_tokens })
    }
}

#[pymethods]
impl PyEmbeddings {
    /// Its number, unique within the engine.
    #[getter]
    fn id(&self) -> u64 {
        self.id
    }

    /// The embeddings, `[n_texts, width]`, or where each token has one a list of `[n_tokens, width]`.
    /// They are given once. Waits up to `timeout` seconds, or for ever; `None` after that time. Raises
    /// `FarthingError` if the model failed or they were cancelled.
    #[pyo3(signature = (timeout=None))]
    fn take<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let answer = self.answer.get()?;
        let timeout = timeout.map(|seconds| params::seconds("timeout", seconds)).transpose()?;
        let Some(result) = wait(py, timeout, |slice: Duration| answer.wait(slice))? else {
            return Ok(None);
        };
        let rows = detached(py, || result)?;
        let Some(width) = self.of_tokens else {
            let (n, all) = (rows.len(), detached(py, || Ok::<_, PyErr>(rows.concat()))?);
            let width = all.len() / n.max(1);
            return Ok(Some(PyArray1::from_vec(py, all).reshape([n, width])?.into_any()));
        };
        let arrays = PyList::empty(py);
        for vectors in rows {
            let n = vectors.len() / width;
            arrays.append(PyArray1::from_vec(py, vectors).reshape([n, width])?)?;
        }
        Ok(Some(arrays.into_any()))
    }

    /// From now on `Engine.wait_ready` reports them when they are there. What is there already is to be
    /// taken after this call.
    fn watch(&self) -> PyResult<()> {
        self.answer.get()?.watch();
        Ok(())
    }

    /// Gives the texts up. Does nothing in a forked child.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        if !self.answer.is_here() {
            return Ok(());
        }
        let answer = self.answer.get()?;
        detached(py, || {
            answer.cancel();
            Ok::<_, PyErr>(())
        })
    }
}
