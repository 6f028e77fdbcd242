//! The parameters of a request, by name.

use std::time::Duration;

use farthing_engine::{Constraint, Request, Shift};
use farthing_models::{KvType, Lora, Pooling};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::adapter::adapters;
use crate::error::RequestError;
use crate::grammar::PyConstraint;
use crate::sampling::PyBreakers;

/// A request from its tokens and the fields of `Request` and `Sampling` by name, all optional. Raises
/// `RequestError` for a name or a kind of value that does not exist; ranges are the engine's to check.
pub fn request(
    tokens: &Bound<'_, PyAny>,
    params: &Bound<'_, PyDict>,
    lora: &Lora,
) -> PyResult<Request> {
    let mut request = Request { tokens: token_ids("tokens", tokens)?, ..Request::default() };
    let mut full = Full::default();
    for (key, value) in params {
        let key: String = key.extract()?;
        match &*key {
            "lora" => request.adapters = adapters(lora, &value)?,
            "context_shift" => full.shifts = get(&key, &value, TRUTH)?,
            "n_keep" => full.keep = Some(unless_minus_one(&key, &value)?),
            "bos" => full.bos = Some(get(&key, &value, "a token id")?),
            _ => set(&mut request, &key, &value)?,
        }
    }
    request.shift = full.shift()?;
    Ok(request)
}

/// What is said of a full context.
#[derive(Default)]
struct Full {
    shifts: bool,
    keep: Option<Option<usize>>,
    bos: Option<u32>,
}

impl Full {
    fn shift(self) -> PyResult<Option<Shift>> {
        if let (false, Some(keep)) = (self.shifts, self.keep) {
            let keep = keep.map_or("-1".into(), |keep| keep.to_string());
            let text = format!("n_keep is {keep}, but must be left out without context_shift");
            return Err(RequestError::new_err(text));
        }
        let shift = Shift { keep: self.keep.unwrap_or(Some(0)), first: self.bos };
        Ok(self.shifts.then_some(shift))
    }
}

fn set(request: &mut Request, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let sampling = &mut request.sampling;
    match name {
        "max_tokens" => request.max_tokens = unless_minus_one(name, value)?,
        "stop_tokens" => request.stop_tokens = token_ids(name, value)?,
        "cache_prompt" => request.unshared = !get::<bool>(name, value, "true or false")?,
        "priority" => request.priority = get(name, value, INTEGER)?,
        "timeout" => request.timeout = Some(seconds(name, get(name, value, NUMBER)?)?),
        "constraint" => request.constraint = Some(constraint(name, value)?),
        "logprobs" => request.logprobs = Some(get(name, value, COUNT)?),
        "post_sampling_probs" => request.post_sampling_probs = get(name, value, TRUTH)?,
        "samplers" => sampling.samplers = Some(get(name, value, "a list of names")?),
        "n_draft_max" => request.n_draft_max = Some(get(name, value, COUNT)?),
        "temperature" => sampling.temperature = get(name, value, NUMBER)?,
        "dynatemp_range" => sampling.dynatemp_range = get(name, value, NUMBER)?,
        "dynatemp_exponent" => sampling.dynatemp_exponent = get(name, value, NUMBER)?,
        "top_k" => sampling.top_k = get(name, value, INTEGER)?,
        "top_p" => sampling.top_p = get(name, value, NUMBER)?,
        "min_p" => sampling.min_p = get(name, value, NUMBER)?,
        "typical_p" => sampling.typical_p = get(name, value, NUMBER)?,
        "top_n_sigma" => sampling.top_n_sigma = get(name, value, NUMBER)?,
        "xtc_probability" => sampling.xtc_probability = get(name, value, NUMBER)?,
        "xtc_threshold" => sampling.xtc_threshold = get(name, value, NUMBER)?,
        "min_keep" => sampling.min_keep = get(name, value, COUNT)?,
        "repeat_last_n" => sampling.repeat_last_n = get(name, value, INTEGER)?,
        "repeat_penalty" => sampling.repeat_penalty = get(name, value, NUMBER)?,
        "presence_penalty" => sampling.presence_penalty = get(name, value, NUMBER)?,
        "frequency_penalty" => sampling.frequency_penalty = get(name, value, NUMBER)?,
        "dry_multiplier" => sampling.dry_multiplier = get(name, value, NUMBER)?,
        "dry_base" => sampling.dry_base = get(name, value, NUMBER)?,
        "dry_allowed_length" => sampling.dry_allowed_length = get(name, value, COUNT)?,
        "dry_penalty_last_n" => sampling.dry_penalty_last_n = get(name, value, INTEGER)?,
        "dry_sequence_breakers" => {
            let breakers =
                value.cast::<PyBreakers>().map_err(|_| wrong(name, value, "Breakers"))?;
            sampling.dry_sequence_breakers = breakers.get().breakers();
        }
        "mirostat" => sampling.mirostat = get(name, value, "0, 1 or 2")?,
        "mirostat_tau" => sampling.mirostat_tau = get(name, value, NUMBER)?,
        "mirostat_eta" => sampling.mirostat_eta = get(name, value, NUMBER)?,
        "adaptive_target" => sampling.adaptive_target = get(name, value, NUMBER)?,
        "adaptive_decay" => sampling.adaptive_decay = get(name, value, NUMBER)?,
        "seed" => sampling.seed = unless_minus_one(name, value)?,
        "logit_bias" => sampling.logit_bias = biases(name, value)?,
        "ignore_eos" => sampling.ignore_eos = get(name, value, TRUTH)?,
        _ => return Err(RequestError::new_err(format!("{name} is not a parameter"))),
    }
    Ok(())
}

fn constraint(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Constraint> {
    let constraint = value.cast::<PyConstraint>();
    let constraint = constraint.map_err(|_| wrong(name, value, "a Constraint"))?;
    Ok(constraint.get().constraint.clone())
}

const NUMBER: &str = "a number";
const INTEGER: &str = "an integer of 32 bits";
const TRUTH: &str = "true or false";
const COUNT: &str = "an integer of 0 or more";

/// A value; `wanted` says what it must be.
fn get<'py, T>(name: &str, value: &Bound<'py, PyAny>, wanted: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    value.extract().map_err(|_| wrong(name, value, wanted))
}

fn wrong(name: &str, value: &Bound<'_, PyAny>, wanted: &str) -> PyErr {
    let shown = value.repr().map_or_else(|_| "unprintable".to_owned(), |text| text.to_string());
    RequestError::new_err(format!("{name} is {shown}, but must be {wanted}"))
}

/// An integer of 0 or more; -1 stands for none, as in llama.cpp.
fn unless_minus_one<'py, T>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    match value.extract::<i64>() {
        Ok(-1) => Ok(None),
        _ => get(name, value, "an integer of 0 or more, or -1").map(Some),
    }
}

/// Token ids. Raises `RequestError` naming the first item that is none.
pub fn token_ids(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    if let Ok(ids) = value.extract() {
        return Ok(ids);
    }
    let items = value.try_iter().map_err(|_| wrong(name, value, "a list of token ids"))?;
    items
        .enumerate()
        .map(|(index, item)| get(&format!("{name}[{index}]"), &item?, "a token id"))
        .collect()
}

fn biases(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<(u32, f32)>> {
    let wanted = "a dict from token ids to numbers";
    let dict = value.cast::<PyDict>().map_err(|_| wrong(name, value, wanted))?;
    dict.iter()
        .map(|(id, bias)| {
            let bias = get(&format!("{name}[{id}]"), &bias, NUMBER)?;
            Ok((get(&format!("a key of {name}"), &id, "a token id")?, bias))
        })
        .collect()
}

/// A number of things, at least 1.
pub fn count(name: &str, value: i64) -> PyResult<usize> {
    at_least(name, value, 1)
}

/// A number of things, at least `least`.
pub fn at_least(name: &str, value: i64, least: usize) -> PyResult<usize> {
    usize::try_from(value).ok().filter(|&value| value >= least).ok_or_else(|| {
        RequestError::new_err(format!("{name} is {value}, but must be {least} or more"))
    })
}

/// A length of time in seconds.
pub fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    time(name, value, 1.0)
}

/// A length of time in milliseconds.
pub fn milliseconds(name: &str, value: f64) -> PyResult<Duration> {
    time(name, value, 1e3)
}

fn time(name: &str, value: f64, per_second: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value / per_second).map_err(|_| {
        RequestError::new_err(format!("{name} is {value}, but must be a length of time, 0 or more"))
    })
}

/// A number of things, 0 for none.
pub fn count_or_none(name: &str, value: i64) -> PyResult<usize> {
    usize::try_from(value)
        .map_err(|_| RequestError::new_err(format!("{name} is {value}, but must be {COUNT}")))
}

/// Texts as token ids. Raises `RequestError` naming the first item that is none.
pub fn texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<u32>>> {
    let items = value.try_iter().map_err(|_| wrong("texts", value, "a list of texts"))?;
    items.enumerate().map(|(index, item)| token_ids(&format!("texts[{index}]"), &item?)).collect()
}

/// A way of pooling by its name.
pub fn pooling(name: &str) -> PyResult<Pooling> {
    Pooling::ALL.into_iter().find(|pooling| pooling.name() == name).ok_or_else(|| {
        let known = Pooling::ALL.map(Pooling::name).join(", ");
        RequestError::new_err(format!("pooling is {name:?}, but must be one of {known}"))
    })
}

/// A type of the KV cache by its name.
pub fn kv_type(name: &str) -> PyResult<KvType> {
    KvType::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let known = KvType::ALL.map(KvType::name).join(", ");
        RequestError::new_err(format!("kv_type is {name:?}, but must be one of {known}"))
    })
}
