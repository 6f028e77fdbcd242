//! The extension module `farthing._native`: conversions and the GIL, nothing else.
//!
//! All work is done detached from the interpreter. The classes are frozen and their contents are
//! shared with other threads anyway, so the module needs no GIL of its own.

mod adapter;
mod cpu;
mod engine;
mod error;
mod gguf;
mod params;
mod process;
mod request;
mod sampling;
mod strings;
mod token_model;
mod wait;

/// The module; its types are declared in `python/farthing/_native.pyi`.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::adapter::PyAdapter;
    #[pymodule_export]
    use crate::cpu::{cpu_info, dequantize, machine_peak};
    #[pymodule_export]
    use crate::engine::PyEngine;
    #[pymodule_export]
    use crate::gguf::PyGguf;
    #[pymodule_export]
    use crate::request::{Finished, PyRequest, Token};
    #[pymodule_export]
    use crate::sampling::{PyBreakers, samplers};
    #[pymodule_export]
    use crate::strings::PyStrings;
    #[pymodule_export]
    use crate::token_model::PyTokenModel;
}
