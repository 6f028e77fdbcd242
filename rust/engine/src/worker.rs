//! The engine's thread.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::engine::{Config, Shared};
use crate::evaluation::Collector;
use crate::forward::Forward;
use crate::handle::Outbox;
use crate::request::Request;

pub(crate) enum Command {
    Generate(Box<GenerateJob>),
    Evaluate(Box<EvaluateJob>),
    Close,
}

pub(crate) struct GenerateJob {
    pub id: u64,
    pub request: Request,
    pub outbox: Outbox,
    pub submitted: Instant,
}

pub(crate) struct EvaluateJob {
    pub id: u64,
    pub tokens: Vec<u32>,
    pub collector: Collector,
}

pub(crate) struct Worker {
    commands: Receiver<Command>,
    shared: Arc<Shared>,
}

impl Worker {
    pub fn new(
        _model: Box<dyn Forward>,
        _config: Config,
        commands: Receiver<Command>,
        shared: Arc<Shared>,
    ) -> Worker {
        Worker { commands, shared }
    }

    pub fn run(self) {
        while !matches!(self.commands.recv(), Ok(Command::Close) | Err(_)) {}
        self.shared.ready.close();
    }
}
