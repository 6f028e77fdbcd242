//! `Strings`: an array of strings as it is in the file.

use std::collections::HashSet;

use farthing_gguf::Array;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

/// A sequence of strings that become Python objects only when they are asked for.
#[pyclass(frozen, sequence, name = "Strings", module = "farthing._native")]
pub struct PyStrings {
    /// Its elements are strings.
    pub array: Array,
}

#[pymethods]
impl PyStrings {
    /// From any iterable of `str` and `bytes`.
    #[new]
    fn new(texts: &Bound<'_, PyAny>) -> PyResult<PyStrings> {
        Ok(PyStrings { array: to_array(texts)? })
    }

    fn __len__(&self) -> usize {
        self.array.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let place = if index < 0 { index + self.array.len() as isize } else { index };
        let text = usize::try_from(place).ok().and_then(|place| self.array.bytes_at(place));
        text.map(|text| from_text(py, text))
            .ok_or_else(|| PyIndexError::new_err("index out of range"))
    }

    /// Where each of some texts is, the last of equal ones; those that are not there are left out.
    fn find<'py>(&self, py: Python<'py>, texts: Vec<String>) -> PyResult<Bound<'py, PyDict>> {
        let wanted: HashSet<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let found = PyDict::new(py);
        for (place, text) in self.array.bytes().into_iter().flatten().enumerate() {
            if wanted.contains(text) {
                found.set_item(from_text(py, text), place)?;
            }
        }
        Ok(found)
    }

    /// A list of `str`, with `bytes` for what is not UTF-8.
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        match self.array.bytes() {
            Some(texts) => PyList::new(py, texts.map(|text| from_text(py, text))),
            None => Ok(PyList::empty(py)),
        }
    }
}

/// `str`, or `bytes` for what is not UTF-8.
pub fn from_text<'py>(py: Python<'py>, text: &[u8]) -> Bound<'py, PyAny> {
    match std::str::from_utf8(text) {
        Ok(text) => PyString::new(py, text).into_any(),
        Err(_) => PyBytes::new(py, text).into_any(),
    }
}

/// The strings of a `Strings`, or of any iterable of `str` and `bytes`.
pub fn to_array(texts: &Bound<'_, PyAny>) -> PyResult<Array> {
    if let Ok(strings) = texts.cast::<PyStrings>() {
        return Ok(strings.get().array.clone());
    }
    let mut items = Vec::new();
    for item in texts.try_iter()? {
        let item = item?;
        items.push(match item.cast::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes().to_vec(),
            Err(_) => item.extract::<String>()?.into_bytes(),
        });
    }
    Ok(Array::strings(items))
}
