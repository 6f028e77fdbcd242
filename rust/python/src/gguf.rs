//! `Gguf`: what a model file says about itself.

use std::path::PathBuf;

use farthing_gguf::{Array, Gguf, Value, ValueType};
use farthing_models::{self as models, Model, Options};
use numpy::PyArray1;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::error::detached;
use crate::params;
use crate::strings::{PyStrings, from_text};

/// A GGUF file or split set, memory-mapped and checked.
#[pyclass(frozen, name = "Gguf", module = "farthing._native")]
pub struct PyGguf {
    file: Gguf,
}

impl PyGguf {
    /// The file itself.
    pub fn file(&self) -> &Gguf {
        &self.file
    }
}

#[pymethods]
impl PyGguf {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<PyGguf> {
        Ok(PyGguf { file: detached(py, || Gguf::open(path))? })
    }

    /// The version of the format, 2 or 3.
    #[getter]
    fn version(&self) -> u32 {
        self.file.version()
    }

    /// The paths of the files, several for a split model.
    #[getter]
    fn parts(&self) -> Vec<String> {
        self.file.parts().iter().map(|path| path.display().to_string()).collect()
    }

    /// Values by key, in the file's order; arrays as lists, strings that are not UTF-8 as bytes.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (key, value) in self.file.metadata().iter() {
            dict.set_item(key, from_value(py, value)?)?;
        }
        Ok(dict)
    }

    /// `metadata` for the values that are large: arrays of strings as `Strings`, of numbers as numpy
    /// arrays.
    #[getter]
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (key, value) in self.file.metadata().iter() {
            let value = match value {
                Value::Array(array) => from_large_array(py, array)?,
                value => from_value(py, value)?,
            };
            dict.set_item(key, value)?;
        }
        Ok(dict)
    }

    /// For each tensor its `name`, `shape` (the fastest dimension first), `type`, `n_bytes`, `offset`
    /// (in its file) and `part` (index in `parts`).
    #[getter]
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for tensor in self.file.tensors() {
            let row = PyDict::new(py);
            row.set_item("name", &tensor.name)?;
            row.set_item("shape", &tensor.shape)?;
            row.set_item("type", tensor.ty.name())?;
            row.set_item("n_bytes", tensor.n_bytes())?;
            row.set_item("offset", tensor.offset())?;
            row.set_item("part", tensor.part())?;
            list.append(row)?;
        }
        Ok(list)
    }

    /// Bytes of KV cache for `n_ctx` tokens of one sequence, by default as many as the model was
    /// trained for. Raises as loading the model does.
    #[pyo3(signature = (n_ctx=None, kv_type="f16"))]
    fn kv_bytes(&self, py: Python<'_>, n_ctx: Option<i64>, kv_type: &str) -> PyResult<u64> {
        let n_ctx = n_ctx.map(|n| params::count("n_ctx", n)).transpose()?;
        let kv_type = params::kv_type(kv_type)?;
        detached(py, || {
            let smallest = Options {
                n_ctx: Some(1),
                n_threads: Some(1),
                kv_type,
                repack: Some(false),
                n_checkpoints: 0,
                read_ahead: false,
                ..Options::default()
            };
            let model = Model::load(&self.file, &smallest)?;
            let n_ctx = n_ctx.unwrap_or(model.n_ctx_train());
            let n_pages = n_ctx.div_ceil(model.page_len()) as u64;
            Ok::<_, models::Error>(n_pages.saturating_mul(model.page_bytes()))
        })
    }
}

fn from_value<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::U8(value) => value.into_bound_py_any(py),
        Value::I8(value) => value.into_bound_py_any(py),
        Value::U16(value) => value.into_bound_py_any(py),
        Value::I16(value) => value.into_bound_py_any(py),
        Value::U32(value) => value.into_bound_py_any(py),
        Value::I32(value) => value.into_bound_py_any(py),
        Value::F32(value) => value.into_bound_py_any(py),
        Value::Bool(value) => value.into_bound_py_any(py),
        Value::String(text) => Ok(from_text(py, text.as_bytes())),
        Value::Array(array) => from_array(py, array),
        Value::U64(value) => value.into_bound_py_any(py),
        Value::I64(value) => value.into_bound_py_any(py),
        Value::F64(value) => value.into_bound_py_any(py),
    }
}

fn from_array<'py>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, PyAny>> {
    if let Some(texts) = array.bytes() {
        return Ok(PyList::new(py, texts.map(|text| from_text(py, text)))?.into_any());
    }
    let list = PyList::empty(py);
    for value in array.iter() {
        list.append(from_value(py, &value)?)?;
    }
    Ok(list.into_any())
}

fn from_large_array<'py>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, PyAny>> {
    macro_rules! numbers {
        ($variant:ident) => {
            PyArray1::from_iter(
                py,
                array.iter().filter_map(|value| match value {
                    Value::$variant(number) => Some(number),
                    _ => None,
                }),
            )
            .into_any()
        };
    }
    Ok(match array.element_type() {
        ValueType::U8 => numbers!(U8),
        ValueType::I8 => numbers!(I8),
        ValueType::U16 => numbers!(U16),
        ValueType::I16 => numbers!(I16),
        ValueType::U32 => numbers!(U32),
        ValueType::I32 => numbers!(I32),
        ValueType::U64 => numbers!(U64),
        ValueType::I64 => numbers!(I64),
        ValueType::F32 => numbers!(F32),
        ValueType::F64 => numbers!(F64),
        ValueType::String => PyStrings { array: array.clone() }.into_bound_py_any(py)?,
        ValueType::Bool | ValueType::Array => from_array(py, array)?,
    })
}
