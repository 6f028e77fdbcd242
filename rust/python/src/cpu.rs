//! What this CPU can do, and the kernels' reference of each quantized type.

use farthing_kernels::quant::QUANTS;
use farthing_kernels::{Team, isa, peak, threads};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{FarthingError, RequestError, detached};
use crate::params;

/// The instruction-set `level` in use, the `levels` that this CPU has, the least first, and the
/// default number of threads, `n_threads`, with its reason, `n_threads_reason`. Raises
/// `FarthingError` if `FARTHING_ISA` names a level that the CPU does not have, and `RequestError` if
/// `FARTHING_THREADS` is no number.
#[pyfunction]
pub fn cpu_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let level = isa::LEVEL.as_ref().map_err(|text| FarthingError::new_err(text.clone()))?;
    let info = PyDict::new(py);
    info.set_item("level", level.name())?;
    info.set_item("levels", isa::LEVELS.iter().map(|level| level.name()).collect::<Vec<_>>())?;
    let threads = threads::default_threads().map_err(RequestError::new_err)?;
    info.set_item("n_threads", threads.n)?;
    info.set_item("n_threads_reason", threads.reason)?;
    Ok(info)
}

/// The machine's limits with `n_threads` at the level in use: `read_bytes_per_second` of pure reading
/// from memory, and `int8_ops_per_second` of the level's dot product, each measured for about
/// `seconds`. Raises `FarthingError` where memory or threads cannot be had, and what `cpu_info` does.
#[pyfunction]
#[pyo3(signature = (n_threads=None, seconds=0.3))]
pub fn machine_peak(
    py: Python<'_>,
    n_threads: Option<usize>,
    seconds: f64,
) -> PyResult<Bound<'_, PyDict>> {
    let level = *isa::LEVEL.as_ref().map_err(|text| FarthingError::new_err(text.clone()))?;
    let time = params::seconds("seconds", seconds)?;
    let n_threads = match n_threads {
        Some(n) => n.max(1),
        None => threads::default_threads().map_err(RequestError::new_err)?.n,
    };
    let (read, int8) = detached(py, || {
        let team = Team::new(n_threads).map_err(FarthingError::new_err)?;
        let read = peak::read_rate(&team, level, peak::READ_BYTES, time);
        let read = read.map_err(FarthingError::new_err)?;
        Ok::<_, PyErr>((read, peak::dot_rate(&team, level, time)))
    })?;
    let found = PyDict::new(py);
    found.set_item("level", level.name())?;
    found.set_item("n_threads", n_threads)?;
    found.set_item("read_bytes_per_second", read)?;
    found.set_item("int8_ops_per_second", int8)?;
    Ok(found)
}

/// The floats that `n_elements` values of a type stand for. Raises `RequestError` for an unknown type
/// and for a size that does not fit.
#[pyfunction]
pub fn dequantize<'py>(
    py: Python<'py>,
    data: &[u8],
    type_name: &str,
    n_elements: usize,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let quant = QUANTS.iter().find(|quant| quant.name == type_name).ok_or_else(|| {
        let known = QUANTS.iter().map(|quant| quant.name).collect::<Vec<_>>().join(", ");
        RequestError::new_err(format!("type_name is {type_name:?}, but must be one of {known}"))
    })?;
    let wanted = quant.row_bytes(n_elements).ok_or_else(|| {
        RequestError::new_err(format!(
            "n_elements is {n_elements}, but must be a multiple of {}",
            quant.block_len
        ))
    })?;
    if data.len() != wanted {
        return Err(RequestError::new_err(format!(
            "data has {} bytes, but {n_elements} values of {type_name} take {wanted}",
            data.len()
        )));
    }
    let values = detached(py, || {
        let mut values = vec![0.0; n_elements];
        quant.dequantize(data, &mut values);
        Ok::<_, PyErr>(values)
    })?;
    Ok(PyArray1::from_vec(py, values))
}
