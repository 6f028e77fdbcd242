//! Requests over time: which tokens are computed in which forward pass, and what is sampled from it.
//!
//! A sequence has tokens and a count of the computed ones. Each step spends a budget of tokens so
//! that the counts catch up: `plan -> forward -> absorb`, with plain data between. There is no
//! prefill phase and no decode phase, so chunked prompts, prefix reuse, parallel requests and
//! preemption are one mechanism.
//!
//! [`Engine`] runs that loop on a thread of its own; [`Handle`] and [`Answer`] are what a caller holds of
//! a request. The model is behind [`Forward`]: the engine never looks inside a tensor.

#![forbid(unsafe_code)]

mod answer;
mod budget;
mod catch;
mod disk;
mod embedding;
mod engine;
mod error;
mod evaluation;
mod forward;
mod gate;
mod generation;
mod grammar;
mod handle;
mod job;
mod model;
mod notices;
mod pace;
mod pager;
mod prefix;
mod processor;
mod request;
mod sampler;
mod scheduler;
mod sequence;
mod speculation;
mod states;
mod worker;

pub use answer::Answer;
pub use disk::DiskCache;
pub use embedding::EmbeddingRequest;
pub use engine::{Config, Engine, Status};
pub use error::{Error, Result};
pub use forward::{Forward, ForwardError};
pub use grammar::{Constraint, Grammar, Source, Thinking, TokenText, Trigger, Vocabulary};
pub use handle::Handle;
pub use processor::LogitsProcessor;
pub use request::{FinishReason, Logprob, MAX_LOGPROBS, Output, Request, Shift, Timings, Usage};
pub use sampler::{Breakers, Sampling, samplers};
