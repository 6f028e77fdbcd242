//! The extension module `farthing._native`: conversions and the GIL, nothing else.
//!
//! All work is done detached from the interpreter. The classes are frozen and their contents are
//! shared with other threads anyway, so the module needs no GIL of its own.

mod adapter;
mod cpu;
mod embeddings;
mod engine;
mod error;
mod gguf;
mod grammar;
mod params;
mod process;
mod processor;
mod request;
mod sampling;
mod strings;
mod token_bytes;
mod token_model;
mod wait;

/// The module; its types are declared in `python/farthing/_native.pyi`.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::adapter::PyAdapter;
    #[pymodule_export]
    use crate::cpu::{cpu_info, dequantize, machine_peak};
    #[pymodule_export]
    use crate::embeddings::PyEmbeddings;
    #[pymodule_export]
    use crate::engine::PyEngine;
    #[pymodule_export]
    use crate::gguf::PyGguf;
    #[pymodule_export]
    use crate::grammar::{PyConstraint, PyGrammar, PyVocabulary};
    #[pymodule_export]
    use crate::request::{Finished, PyRequest, Token};
    #[pymodule_export]
    use crate::sampling::{PyBreakers, samplers};
    #[pymodule_export]
    use crate::strings::PyStrings;
    #[pymodule_export]
    use crate::token_bytes::PyTokenBytes;
    #[pymodule_export]
    use crate::token_model::PyTokenModel;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::process::expect_main_interpreter(module.py())
    }
}
