//! `Engine`: a loaded model and the thread that runs it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farthing_engine::{Config, DiskCache, EmbeddingRequest, Engine, Forward};
use farthing_models::{Lora, Model, Options, check_draft_vocabulary};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::adapter::{PyAdapter, adapters};
use crate::embeddings::PyEmbeddings;
use crate::error::{FarthingError, detached};
use crate::gguf::PyGguf;
use crate::params;
use crate::process::Owned;
use crate::processor::{PyProcessor, Raised};
use crate::request::PyRequest;
use crate::wait::wait;

/// A loaded model with its KV cache and the thread that runs it.
#[pyclass(frozen, name = "Engine", module = "farthing._native")]
pub struct PyEngine {
    engine: Owned<Engine>,
    lora: Lora,
    info: Py<PyDict>,
}

#[pymethods]
impl PyEngine {
    /// Loads the model of `gguf`. Raises `ModelFileError`, `UnsupportedModelError`,
    /// `OutOfMemoryError`, or `RequestError` for an argument out of its range.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the keywords of Python's side")]
    #[pyo3(signature = (
        gguf, *, draft=None, n_ctx=None, n_threads=None, kv_type="f16", max_sequences=8,
        n_batch=512, max_queue=None, max_gap_ms=None, repack=None, n_draft_max=16,
        prompt_lookup=true, prefix_cache_bytes=None, ctx_checkpoints=32,
        prefix_cache_dir=None, prefix_cache_disk_bytes=8 << 30, kv_cache_bytes=None
    ))]
    fn new(
        py: Python<'_>,
        gguf: &PyGguf,
        draft: Option<&PyGguf>,
        n_ctx: Option<i64>,
        n_threads: Option<i64>,
        kv_type: &str,
        max_sequences: i64,
        n_batch: i64,
        max_queue: Option<i64>,
        max_gap_ms: Option<f64>,
        repack: Option<bool>,
        n_draft_max: i64,
        prompt_lookup: bool,
        prefix_cache_bytes: Option<i64>,
        ctx_checkpoints: i64,
        prefix_cache_dir: Option<PathBuf>,
        prefix_cache_disk_bytes: i64,
        kv_cache_bytes: Option<i64>,
    ) -> PyResult<PyEngine> {
        let options = Options {
            n_ctx: n_ctx.map(|n| params::count("n_ctx", n)).transpose()?,
            n_threads: n_threads.map(|n| params::count("n_threads", n)).transpose()?,
            n_sequences: params::count("max_sequences", max_sequences)?,
            kv_type: params::kv_type(kv_type)?,
            repack,
            cache_bytes: kv_cache_bytes
                .map(|n| params::count("kv_cache_bytes", n).map(|n| n as u64))
                .transpose()?,
            kept_bytes: prefix_cache_bytes
                .map(|n| params::count_or_none("prefix_cache_bytes", n).map(|n| n as u64))
                .transpose()?,
            n_checkpoints: params::count_or_none("ctx_checkpoints", ctx_checkpoints)?,
            read_ahead: true,
        };
        let n_draft_max = params::count_or_none("n_draft_max", n_draft_max)?;
        let n_batch = params::count("n_batch", n_batch)?;
        let max_queue =
            max_queue.map_or(Ok(usize::MAX), |n| params::at_least("max_queue", n, 0))?;
        let max_gap = max_gap_ms.map(|ms| params::milliseconds("max_gap_ms", ms)).transpose()?;
        let disk_bytes =
            params::count_or_none("prefix_cache_disk_bytes", prefix_cache_disk_bytes)? as u64;
        if let Some(draft) = draft {
            detached(py, || check_draft_vocabulary(gguf.file(), draft.file()))?;
        }
        let model = detached(py, || Model::load(gguf.file(), &options))?;
        // As far as its own context goes.
        let draft_options =
            Options { n_ctx: None, kept_bytes: None, n_checkpoints: 0, ..options.clone() };
        let draft = draft
            .map(|draft| detached(py, || Model::load(draft.file(), &draft_options)))
            .transpose()?
            .map(|draft| Box::new(draft) as Box<dyn Forward>);
        let config = Config {
            n_ctx: model.n_ctx(),
            max_sequences: options.n_sequences,
            n_batch,
            // States cannot go back to before a wrong guess.
            n_draft_max: if model.n_states() > 0 { 0 } else { n_draft_max },
            prompt_lookup,
            kept_pages: kept_pages(options.kept_bytes, model.page_bytes()),
            max_queue,
            max_gap,
            disk: prefix_cache_dir.map(|folder| DiskCache {
                folder,
                max_bytes: disk_bytes,
                identity: model.identity(gguf.file()),
            }),
        };
        let info = describe(py, &model, &options, &config)?;
        let lora = model.lora();
        let engine = detached(py, || Engine::start_with_draft(Box::new(model), draft, config))?;
        Ok(PyEngine { engine: Owned::new(engine), lora, info: info.unbind() })
    }

    /// What was loaded and the settings in use.
    #[getter]
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.info.bind(py).copy()
    }

    /// What the engine was doing after its last step: requests `running` and `waiting`, and pages of
    /// the KV cache in all (`n_pages`), in use and kept for reuse.
    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let engine = self.engine.get()?;
        let now = detached(py, || Ok::<_, PyErr>(engine.status()))?;
        let status = PyDict::new(py);
        status.set_item("running", now.running)?;
        status.set_item("waiting", now.waiting)?;
        status.set_item("n_pages", now.n_pages)?;
        status.set_item("used_pages", now.used_pages)?;
        status.set_item("kept_pages", now.kept_pages)?;
        Ok(status)
    }

    /// Begins to measure where the time goes, from zero.
    fn start_profile(&self) -> PyResult<()> {
        self.engine.get()?.profile().start();
        Ok(())
    }

    /// Ends measuring: the forward `passes` and `tokens` computed since `start_profile`, and for each
    /// of the `parts` its `name`, its time `ms`, what of that ran on one thread, `alone_ms`, and what
    /// threads waited for each other, `waiting_ms`, their mean.
    fn stop_profile<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = self.engine.get()?.profile().stop();
        let parts = PyList::empty(py);
        for part in report.parts {
            let row = PyDict::new(py);
            row.set_item("name", part.name)?;
            row.set_item("ms", part.ms)?;
            row.set_item("alone_ms", part.alone_ms)?;
            row.set_item("waiting_ms", part.waiting_ms)?;
            parts.append(row)?;
        }
        let profile = PyDict::new(py);
        profile.set_item("passes", report.passes)?;
        profile.set_item("tokens", report.tokens)?;
        profile.set_item("parts", parts)?;
        Ok(profile)
    }

    /// Reads a low-rank adapter, which stays in its file's memory map. Raises `ModelFileError` or
    /// `UnsupportedModelError` where the file is no adapter of this model's.
    fn load_adapter(&self, py: Python<'_>, gguf: &PyGguf) -> PyResult<PyAdapter> {
        self.engine.get()?;
        let adapter = detached(py, || self.lora.load(gguf.file()))?;
        Ok(PyAdapter(Arc::new(adapter)))
    }

    /// Submits a generation; `params` are the fields of a request and of its sampling, the
    /// `logits_processor` callables that are called one after the other. Raises `RequestError` and
    /// `ContextLengthError` for what cannot be, and `QueueFullError`.
    #[pyo3(signature = (tokens, params, *, logits_processor=None))]
    fn submit(
        &self,
        tokens: &Bound<'_, PyAny>,
        params: &Bound<'_, PyDict>,
        logits_processor: Option<Vec<Py<PyAny>>>,
    ) -> PyResult<PyRequest> {
        let engine = self.engine.get()?;
        let mut request = params::request(tokens, params, &self.lora)?;
        let raised = Raised::default();
        if let Some(callables) = logits_processor {
            let processor = PyProcessor::new(callables, raised.clone());
            request.logits_processor = Some(Arc::new(processor));
        }
        PyRequest::submit(tokens.py(), engine, request, raised)
    }

    /// Raises what `submit` would, but for `QueueFullError`.
    fn check(&self, tokens: &Bound<'_, PyAny>, params: &Bound<'_, PyDict>) -> PyResult<()> {
        let engine = self.engine.get()?;
        let request = params::request(tokens, params, &self.lora)?;
        detached(tokens.py(), || engine.check(&request))
    }

    /// The logits after each token, `[n_tokens, n_vocab]`, with these adapters. Ctrl-C cancels it.
    #[pyo3(signature = (tokens, *, lora=None))]
    fn evaluate<'py>(
        &self,
        tokens: &Bound<'py, PyAny>,
        lora: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let py = tokens.py();
        let engine = self.engine.get()?;
        let ids = params::token_ids("tokens", tokens)?;
        let n_tokens = ids.len();
        let adapters = lora.map(|lora| adapters(&self.lora, lora)).transpose()?.unwrap_or_default();
        let evaluation = detached(py, || engine.evaluate_with(ids, adapters))?;
        let logits = match wait(py, None, |slice| evaluation.wait(slice))? {
            Some(result) => detached(py, || result)?,
            None => return Err(FarthingError::new_err("the engine gave no logits")),
        };
        let n_vocab = logits.len() / n_tokens.max(1);
        PyArray1::from_vec(py, logits).reshape([n_tokens, n_vocab])
    }

    /// Submits texts, token ids, for embeddings; `pooling` is "none", "mean", "cls", "last", "rank", or by
    /// default what the file says.
    #[pyo3(signature = (texts, *, pooling=None))]
    fn embed(&self, texts: &Bound<'_, PyAny>, pooling: Option<&str>) -> PyResult<PyEmbeddings> {
        let engine = self.engine.get()?;
        let pooling = pooling.map(params::pooling).transpose()?;
        let request = EmbeddingRequest { texts: params::texts(texts)?, pooling };
        PyEmbeddings::submit(texts.py(), engine, request)
    }

    /// The watched requests that have something to take, empty after `timeout` seconds; `None`
    /// when the engine is closed. For a thread of its own: signals do not end it.
    fn wait_ready(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<Vec<u64>>> {
        let engine = self.engine.get()?;
        let timeout = params::seconds("timeout", timeout)?;
        detached(py, || {
            let start = Instant::now();
            let ids = engine.wait_ready(timeout);
            let closed = ids.is_empty() && start.elapsed() < timeout;
            Ok::<_, PyErr>((!closed).then_some(ids))
        })
    }

    /// What the user should hear of; waits up to `timeout` seconds for the first text. `None` when the
    /// engine is closed and there are no more. For a thread of its own: signals do not end it.
    fn wait_notices(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<Vec<String>>> {
        let engine = self.engine.get()?;
        let timeout = params::seconds("timeout", timeout)?;
        detached(py, || Ok::<_, PyErr>(engine.wait_notices(timeout)))
    }

    /// Ends all requests as cancelled and frees the memory. False where it could not wait for the
    /// end: in a forked child, where it does nothing, and within a `logits_processor`.
    fn close(&self, py: Python<'_>) -> PyResult<bool> {
        if !self.engine.is_here() {
            return Ok(false);
        }
        let engine = self.engine.get()?;
        detached(py, || Ok::<_, PyErr>(engine.close()))
    }
}

impl Drop for PyEngine {
    /// Waits for the thread's end without the interpreter, which a `logits_processor` may wait for.
    fn drop(&mut self) {
        if let Ok(engine) = self.engine.get() {
            Python::try_attach(|py| py.detach(|| engine.close()));
        }
    }
}

/// How many pages may be kept in so many bytes.
fn kept_pages(bytes: Option<u64>, page_bytes: u64) -> usize {
    match bytes {
        Some(0) => 0,
        Some(bytes) => bytes.checked_div(page_bytes).map_or(usize::MAX, |n| n as usize),
        None => usize::MAX,
    }
}

fn describe<'py>(
    py: Python<'py>,
    model: &Model,
    options: &Options,
    config: &Config,
) -> PyResult<Bound<'py, PyDict>> {
    let info = PyDict::new(py);
    let abilities = model.abilities();
    info.set_item("n_vocab", model.n_vocab())?;
    info.set_item("n_embd", abilities.embedding)?;
    info.set_item("generates", abilities.generates)?;
    info.set_item("reranks", abilities.classified.is_some())?;
    info.set_item("pooling", abilities.pooling.name())?;
    info.set_item("n_ctx", config.n_ctx)?;
    info.set_item("n_ctx_train", model.n_ctx_train())?;
    info.set_item("n_ctx_fitted", model.is_fitted())?;
    info.set_item("n_threads", model.n_threads())?;
    info.set_item("n_threads_reason", model.n_threads_reason())?;
    info.set_item("n_batch", config.n_batch)?;
    info.set_item("max_sequences", config.max_sequences)?;
    info.set_item("max_queue", (config.max_queue < usize::MAX).then_some(config.max_queue))?;
    info.set_item("max_gap_ms", config.max_gap.map(|gap: Duration| gap.as_secs_f64() * 1e3))?;
    info.set_item("repack", model.repacks())?;
    info.set_item("n_draft_max", config.n_draft_max)?;
    info.set_item("prompt_lookup", config.prompt_lookup)?;
    info.set_item("kv_type", options.kv_type.name())?;
    info.set_item("kv_bytes_per_token", model.page_bytes() / model.page_len() as u64)?;
    info.set_item("kv_bytes_available", model.cache_budget())?;
    info.set_item("kv_bytes", model.n_pages() as u64 * model.page_bytes())?;
    let files = config.disk.as_ref().map(DiskCache::model_folder);
    info.set_item("prefix_cache_folder", files)?;
    Ok(info)
}
