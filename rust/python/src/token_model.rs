//! `TokenModel`: pieces of text to ids.

use farthing_gguf::Array;
use farthing_tokenization::{
    Bpe, BrokenMerge, Charsmap, Fallback, Longest, Model, Normalization, Plamo2, Unigram,
    Vocabulary,
};
use numpy::{PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;

use crate::error::{ModelFileError, detached};
use crate::strings::to_array;

/// A vocabulary and the rule that it was made for.
///
/// `tokens` and `merges` are `Strings` or iterables of `str` and `bytes`; ids are places in `tokens`.
/// `left_out` are ids that text never turns into. What stands for a character without a token are the
/// 256 `byte_ids` if given, else `unknown` if given, else nothing.
#[pyclass(frozen, name = "TokenModel", module = "farthing._native")]
pub struct PyTokenModel {
    model: Box<dyn Model>,
}

#[pymethods]
impl PyTokenModel {
    /// BPE by a list of merges. With `whole_pieces` a piece that is a token is taken whole. Raises
    /// `ModelFileError` for a merge that is not two texts with a space between.
    #[staticmethod]
    #[pyo3(signature = (tokens, merges, *, byte_ids=None, unknown=None, whole_pieces=false))]
    fn bpe(
        py: Python<'_>,
        tokens: &Bound<'_, PyAny>,
        merges: &Bound<'_, PyAny>,
        byte_ids: Option<[u32; 256]>,
        unknown: Option<u32>,
        whole_pieces: bool,
    ) -> PyResult<Self> {
        let (tokens, merges) = (to_array(tokens)?, to_array(merges)?);
        let fallback = Fallback { bytes: byte_ids.map(Box::new), unknown };
        built(py, move || {
            let lines = merges.bytes().into_iter().flatten();
            // The number of merges is known, though not to the type of the iterator.
            let lines = lines.collect::<Vec<_>>().into_iter();
            Bpe::listed(vocabulary(&tokens, &[]), lines, fallback, whole_pieces).map_err(
                |BrokenMerge(index)| {
                    let text = merges.bytes_at(index).unwrap_or_default();
                    let text = String::from_utf8_lossy(text);
                    ModelFileError::new_err(format!(
                        "tokenizer.ggml.merges[{index}] is '{text}', \
                         not two texts with a space between"
                    ))
                },
            )
        })
    }

    /// BPE by the scores of the tokens, as in SentencePiece.
    #[staticmethod]
    #[pyo3(signature = (tokens, scores, *, left_out, byte_ids=None, unknown=None))]
    fn spm(
        py: Python<'_>,
        tokens: &Bound<'_, PyAny>,
        scores: PyReadonlyArray1<'_, f32>,
        left_out: Vec<u32>,
        byte_ids: Option<[u32; 256]>,
        unknown: Option<u32>,
    ) -> PyResult<Self> {
        let (tokens, scores) = (to_array(tokens)?, scores.to_vec()?);
        let fallback = Fallback { bytes: byte_ids.map(Box::new), unknown };
        built(py, move || Ok(Bpe::scored(vocabulary(&tokens, &left_out), &scores, fallback)))
    }

    /// The most probable cut, after SentencePiece's normalization by the compiled table `charsmap`.
    /// A run of characters without tokens is one unknown token. Raises `ModelFileError` for a broken
    /// table.
    #[staticmethod]
    #[pyo3(signature = (
        tokens, scores, unknown_score, *, left_out, unknown=None, charsmap=None, merge_spaces=false,
        space_prefix=false
    ))]
    #[allow(clippy::too_many_arguments)]
    fn unigram(
        py: Python<'_>,
        tokens: &Bound<'_, PyAny>,
        scores: PyReadonlyArray1<'_, f64>,
        unknown_score: f64,
        left_out: Vec<u32>,
        unknown: Option<u32>,
        charsmap: Option<&[u8]>,
        merge_spaces: bool,
        space_prefix: bool,
    ) -> PyResult<Self> {
        let (tokens, scores) = (to_array(tokens)?, scores.to_vec()?);
        let fallback = Fallback { bytes: None, unknown };
        let charsmap = charsmap.map(|bytes| Charsmap::new(bytes).ok_or_else(broken_charsmap));
        let charsmap = charsmap.transpose()?;
        let normalization = Normalization { charsmap, merge_spaces, space_prefix };
        built(py, move || {
            let vocabulary = vocabulary(&tokens, &left_out);
            Ok(Unigram::new(vocabulary, scores, unknown_score, fallback, normalization))
        })
    }

    /// PLaMo 2's best sum of scores.
    #[staticmethod]
    #[pyo3(signature = (tokens, scores, *, left_out, byte_ids))]
    fn plamo2(
        py: Python<'_>,
        tokens: &Bound<'_, PyAny>,
        scores: PyReadonlyArray1<'_, f32>,
        left_out: Vec<u32>,
        byte_ids: [u32; 256],
    ) -> PyResult<Self> {
        let (tokens, scores) = (to_array(tokens)?, scores.to_vec()?);
        let fallback = Fallback { bytes: Some(Box::new(byte_ids)), unknown: None };
        built(py, move || Ok(Plamo2::new(vocabulary(&tokens, &left_out), &scores, fallback)))
    }

    /// The longest token at every place, over bytes (RWKV).
    #[staticmethod]
    #[pyo3(signature = (tokens, *, left_out, unknown=None))]
    fn longest(
        py: Python<'_>,
        tokens: &Bound<'_, PyAny>,
        left_out: Vec<u32>,
        unknown: Option<u32>,
    ) -> PyResult<Self> {
        let tokens = to_array(tokens)?;
        built(py, move || Ok(Longest::new(vocabulary(&tokens, &left_out), unknown)))
    }

    /// The ids of the pieces, one after the other.
    fn encode(&self, py: Python<'_>, pieces: Vec<PyBackedStr>) -> PyResult<Vec<u32>> {
        detached(py, || {
            let mut ids = Vec::new();
            for piece in &pieces {
                self.model.encode(piece, &mut ids);
            }
            Ok::<_, PyErr>(ids)
        })
    }
}

fn built<M: Model + 'static>(
    py: Python<'_>,
    build: impl FnOnce() -> PyResult<M> + Send,
) -> PyResult<PyTokenModel> {
    let model = detached(py, build)?;
    Ok(PyTokenModel { model: Box::new(model) })
}

fn broken_charsmap() -> PyErr {
    ModelFileError::new_err(
        "tokenizer.ggml.precompiled_charsmap is broken: its parts do not add up to its size",
    )
}

fn vocabulary(tokens: &Array, left_out: &[u32]) -> Vocabulary {
    let mut kept: Vec<Option<&[u8]>> = match tokens.bytes() {
        Some(texts) => texts.map(Some).collect(),
        None => Vec::new(),
    };
    for &id in left_out {
        if let Some(text) = kept.get_mut(id as usize) {
            *text = None;
        }
    }
    Vocabulary::new(kept.into_iter())
}
