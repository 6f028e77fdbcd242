//! What the callers send.

use std::time::Instant;

use farthing_models::Adapters;

use crate::disk::Answer;
use crate::embedding::Embeddings;
use crate::evaluation::Collector;
use crate::handle::Outbox;
use crate::request::Request;

/// Commands, in the order of the requests' numbers.
pub(crate) enum Command {
    Generate(Box<GenerateCommand>),
    Evaluate(EvaluateCommand),
    Embed(EmbedCommand),
    /// What was read from a file.
    Disk(Answer),
    /// The last one.
    Close,
}

pub(crate) struct GenerateCommand {
    pub id: u64,
    pub request: Request,
    pub outbox: Outbox,
    pub submitted: Instant,
}

pub(crate) struct EvaluateCommand {
    pub id: u64,
    pub tokens: Vec<u32>,
    pub adapters: Adapters,
    pub collector: Collector,
}

pub(crate) struct EmbedCommand {
    pub of: Embeddings,
    pub texts: Vec<Vec<u32>>,
}
