//! `TokenBytes`: what tokens mean.

use std::borrow::Cow;

use farthing_gguf::Array;
use farthing_tokenization::Spelling;
use numpy::{PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::strings::to_array;

/// `tokenizer.ggml.token_type` of ordinary tokens, and of those that stand for a byte.
const ORDINARY: [i32; 2] = [1, 6];
/// Of tokens that were added in plain text.
const ADDED: i32 = 4;

/// The bytes of text that each token stands for, made when they are asked for.
#[pyclass(frozen, sequence, name = "TokenBytes", module = "farthing._native")]
pub struct PyTokenBytes {
    tokens: Array,
    types: Vec<i32>,
    spelling: Spelling,
}

#[pymethods]
impl PyTokenBytes {
    /// Tokens that are written as they are.
    #[staticmethod]
    fn plain(tokens: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(PyTokenBytes { tokens: to_array(tokens)?, types: Vec::new(), spelling: Spelling::Plain })
    }

    /// Tokens of a byte-level vocabulary, with one of `tokenizer.ggml.token_type` for each.
    #[staticmethod]
    fn byte_level(tokens: &Bound<'_, PyAny>, types: PyReadonlyArray1<'_, i32>) -> PyResult<Self> {
        Self::typed(tokens, types, Spelling::ByteLevel)
    }

    /// Tokens written like SentencePiece's, with `space` for a space.
    #[staticmethod]
    fn pieces(
        tokens: &Bound<'_, PyAny>,
        types: PyReadonlyArray1<'_, i32>,
        space: String,
    ) -> PyResult<Self> {
        Self::typed(tokens, types, Spelling::Pieces(space))
    }

    fn __len__(&self) -> usize {
        self.tokens.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        match self.bytes(index) {
            Some(bytes) => Ok(PyBytes::new(py, &bytes)),
            None => Err(PyIndexError::new_err("index out of range")),
        }
    }
}

impl PyTokenBytes {
    fn typed(
        tokens: &Bound<'_, PyAny>,
        types: PyReadonlyArray1<'_, i32>,
        spelling: Spelling,
    ) -> PyResult<Self> {
        Ok(PyTokenBytes { tokens: to_array(tokens)?, types: types.to_vec()?, spelling })
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// A token as the file writes it.
    pub fn raw(&self, index: usize) -> Option<&[u8]> {
        self.tokens.bytes_at(index)
    }

    /// What a token means.
    pub fn bytes(&self, index: usize) -> Option<Cow<'_, [u8]>> {
        let kind = self.types.get(index).copied().unwrap_or(ORDINARY[0]);
        let whole = match self.spelling {
            Spelling::ByteLevel => kind == ADDED,
            _ => !ORDINARY.contains(&kind),
        };
        Some(self.spelling.bytes(self.raw(index)?, whole))
    }
}
