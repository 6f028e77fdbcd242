//! The engine's thread: commands in, a pass, outputs out, and again.

mod command;
mod drafting;
mod embedding;
mod files;

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use farthing_models::{Part, Pooling, Run, Wants};

use crate::budget::Budget;
use crate::catch::catch;
use crate::disk::Disk;
use crate::embedding::{Backlog, Embeddings, Text};
use crate::engine::{Config, Shared, Status, lock};
use crate::error::Error;
use crate::forward::{Forward, ForwardError};
use crate::generation::Generation;
use crate::grammar::MaskThread;
use crate::job::Job;
use crate::pace::Pace;
use crate::request::FinishReason;
use crate::sampler::Scratch;
use crate::scheduler::{Limits, Outcome, Scheduler, Sizes, Step};
use crate::sequence::Sequence;
use crate::speculation::{Costs, Drafter};
pub(crate) use crate::worker::command::{Command, EmbedCommand, EvaluateCommand, GenerateCommand};
use crate::worker::files::start_disk;

/// Evaluations get at most so many bytes of logits from one pass.
const EVALUATION_BYTES: usize = 64 << 20;

/// How long new requests keep a pass waiting to hear whether there are files for them: looking is a matter of
/// microseconds, and else they would wait for the whole pass.
const ANSWER: Duration = Duration::from_millis(1);
/// How often cancelled requests are looked for while none can run.
const STALLED: Duration = Duration::from_millis(50);

pub(crate) struct Worker {
    model: Box<dyn Forward>,
    awake: bool,
    config: Config,
    commands: Receiver<Command>,
    shared: Arc<Shared>,
    scheduler: Scheduler,
    pace: Pace,
    /// The requests that have not ended.
    jobs: BTreeMap<u64, Job>,
    /// The texts to embed that are not among them yet.
    backlog: Backlog,
    /// The requests whose texts those are or were, as long as their callers do not have the result.
    embeddings: Vec<Arc<Embeddings>>,
    /// Those of them with new outputs.
    fresh: Vec<u64>,
    /// Requests that have ended, with outputs that their callers do not have yet.
    ended: Vec<(u64, Job)>,
    costs: Costs,
    drafter: Option<Drafter>,
    /// The pass's logits, then its vectors.
    rows: Vec<f32>,
    scratch: Scratch,
    masks: MaskThread,
    disk: Option<Disk>,
    /// Whether nothing can run before something is read from a file.
    stalled: bool,
}

/// Says that the thread is gone, also after a panic.
struct CloseReady(Arc<Shared>);

impl Drop for CloseReady {
    fn drop(&mut self) {
        self.0.ready.close();
        self.0.notices.close();
    }
}

impl Worker {
    pub fn new(
        model: Box<dyn Forward>,
        draft: Option<Box<dyn Forward>>,
        config: Config,
        (sender, commands): (Sender<Command>, Receiver<Command>),
        shared: Arc<Shared>,
    ) -> Worker {
        let drafter = draft
            .filter(|_| config.n_draft_max > 0)
            .map(|draft| Drafter::new(draft, model.n_vocab(), &config));
        let disk = config.disk.as_ref().and_then(|disk| start_disk(disk, &shared, sender));
        let row_bytes = model.n_vocab().max(1) * size_of::<f32>();
        let limits = Limits {
            n_ctx: config.n_ctx,
            max_sequences: config.max_sequences,
            whole: model.abilities().looks_ahead,
            max_rows: EVALUATION_BYTES / row_bytes,
            kept_pages: config.kept_pages,
            files: disk
                .is_some()
                .then(|| Sizes { page: model.page_bytes(), state: model.state_bytes() }),
        };
        let scheduler = Scheduler::new(limits, model.n_pages(), model.page_len(), model.n_states());
        Worker {
            model,
            awake: false,
            config,
            commands,
            shared,
            scheduler,
            pace: Pace::default(),
            jobs: BTreeMap::new(),
            backlog: Backlog::default(),
            embeddings: Vec::new(),
            fresh: Vec::new(),
            ended: Vec::new(),
            costs: Costs::default(),
            drafter,
            rows: Vec::new(),
            scratch: Scratch::default(),
            masks: MaskThread::default(),
            disk,
            stalled: false,
        }
    }

    /// Serves until the engine is closed.
    pub fn run(self) {
        // Declared first, so dropped after the worker's requests, which end then.
        let _close = CloseReady(self.shared.clone());
        let mut worker = self;
        let profile = worker.shared.profile.clone();
        while worker.receive() {
            let part = profile.enter(Part::Engine);
            worker.sweep();
            worker.feed();
            if !worker.jobs.is_empty() {
                worker.set_awake(true);
                worker.step();
            }
            // Whoever has a request's last output finds its pass in the profile.
            drop(part);
            worker.publish();
        }
        for job in worker.jobs.values_mut() {
            job.stop(FinishReason::Cancelled);
        }
        worker.embeddings.iter().for_each(|of| of.fail(Error::Cancelled));
        // Their callers do not wait for what is saved.
        worker.jobs.clear();
        worker.embeddings.clear();
        worker.shared.ready.close();
        worker.set_awake(false);
        worker.save_all();
    }

    /// Takes the commands that are there, and waits for one if there is nothing else to do. False
    /// when the engine is closed.
    fn receive(&mut self) -> bool {
        let mut until = None;
        loop {
            let wait = if self.jobs.is_empty() && self.backlog.is_empty() {
                self.set_awake(false);
                self.save_one()
            } else if mem::take(&mut self.stalled) {
                STALLED
            } else {
                Duration::ZERO
            };
            let mut received = self.commands.recv_timeout(wait);
            // All commands are taken.
            if received.is_err() && !self.jobs.is_empty() && self.load_more() {
                let until = *until.get_or_insert_with(|| Instant::now() + ANSWER);
                let wait = until.saturating_duration_since(Instant::now());
                received = self.commands.recv_timeout(wait);
            }
            let command = match received {
                Ok(command) => command,
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout)
                    if self.jobs.is_empty() && self.backlog.is_empty() =>
                {
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => return true,
            };
            match command {
                Command::Generate(command) => self.generate(*command),
                Command::Evaluate(command) => self.evaluate(command),
                Command::Embed(command) => self.embed(command),
                Command::Disk(answer) => self.load(answer),
                Command::Close => return false,
            }
        }
    }

    fn generate(&mut self, command: GenerateCommand) {
        let GenerateCommand { id, mut request, outbox, submitted } = command;
        let priority = i64::from(request.priority);
        let sharing = request.sharing();
        let adapters = mem::take(&mut request.adapters);
        let (generation, tokens) = Generation::new(request, outbox, submitted, &self.config);
        self.jobs.insert(id, Job::Generate(Box::new(generation)));
        let sequence = Sequence::new(id, tokens, Wants::Last).sharing(sharing);
        self.scheduler.add(Sequence { priority, adapters, ..sequence });
    }

    fn evaluate(&mut self, command: EvaluateCommand) {
        let EvaluateCommand { id, tokens, adapters, collector } = command;
        self.jobs.insert(id, Job::Evaluate(collector));
        self.scheduler.add(Sequence { adapters, ..Sequence::new(id, tokens, Wants::All) });
    }

    /// Ends what was cancelled and what has run out of time.
    fn sweep(&mut self) {
        self.backlog.sweep();
        let now = Instant::now();
        let mut over = Vec::new();
        for of in self.embeddings.iter().filter(|of| of.is_cancelled()) {
            of.fail(Error::Cancelled);
        }
        for (&id, job) in &self.jobs {
            if job.flag().load(Ordering::SeqCst) {
                over.push((id, FinishReason::Cancelled));
            } else if job.deadline().is_some_and(|deadline| deadline <= now) {
                over.push((id, FinishReason::Timeout));
            }
        }
        for &(id, reason) in &over {
            self.end(id, true, |job| job.stop(reason));
        }
        // Not after the next pass.
        if !over.is_empty() || self.embeddings.iter().any(|of| of.has_ended()) {
            self.publish();
        }
    }

    /// Ends a request and its sequence; `keep` as in [`Scheduler::remove`].
    fn end(&mut self, id: u64, keep: bool, say: impl FnOnce(&mut Job)) {
        self.scheduler.remove(id, keep);
        if let Some(job) = self.jobs.get_mut(&id) {
            say(job);
            self.retire(id);
        }
    }

    /// A request has its last output, or one of its texts, which is given back, its last run.
    fn retire(&mut self, id: u64) -> Option<Text> {
        self.drafter.iter_mut().for_each(|drafter| drafter.forget(id));
        match self.jobs.remove(&id)? {
            Job::Embed(text) => Some(text),
            job => {
                self.shared.unfinished.fetch_sub(1, Ordering::SeqCst);
                self.ended.push((id, job));
                None
            }
        }
    }

    /// Tokens of a pass, at most.
    fn whole(&self) -> usize {
        self.config.n_batch.max(self.config.max_sequences)
    }

    /// The tokens of the next pass. One that would go far beyond a deadline has fewer.
    fn budget(&self) -> Budget {
        let whole = self.whole();
        let running = self.jobs.iter().filter(|(id, _)| self.scheduler.running(**id).is_some());
        let deadline = running.filter_map(|(_, job)| job.deadline()).min();
        let within = |time: Duration| self.pace.tokens_in(time).max(self.config.max_sequences);
        let until = |deadline: Instant| within(deadline.saturating_duration_since(Instant::now()));
        let whole = deadline.map_or(whole, |deadline| whole.min(until(deadline)));
        Budget { whole, beside: self.config.max_gap.map_or(whole, within) }
    }

    /// One pass.
    fn step(&mut self) {
        self.scheduler.admit();
        let budget = self.budget();
        self.draft(budget.whole);
        if self.scheduler.n_running() == 0 {
            // They wait for files.
            self.stalled = self.scheduler.is_loading();
            self.set_awake(!self.stalled);
            return;
        }
        let step = self.scheduler.plan(budget);
        self.make_moves();
        debug_assert!(!step.runs.is_empty(), "there is always a sequence that fits");
        for id in &step.ids {
            if let (Some(job), Some(sequence)) =
                (self.jobs.get_mut(id), self.scheduler.running(*id))
            {
                job.start(sequence, &mut self.masks);
            }
        }
        self.compute(&step);
    }

    /// Computes what is planned, and hands out the rows. After a failure each run is tried alone, so
    /// that of those who share a pass only who is at fault ends.
    fn compute(&mut self, step: &Step) {
        let start = self.model.clock();
        let flags = step.ids.iter().filter_map(|id| self.jobs.get(id));
        if !self.shared.gate.begin(flags.map(|job| job.flag().clone()).collect()) {
            return;
        }
        let result = self.forward(step);
        self.shared.gate.end();
        match result {
            Ok(()) => {
                let n_tokens: usize = step.runs.iter().map(|run| run.tokens.len()).sum();
                let n_rows: usize = step.runs.iter().map(Run::n_rows).sum();
                self.pace.note(n_tokens, self.model.clock() - start);
                self.absorb(step);
                if n_tokens == n_rows {
                    self.costs.learn(n_tokens, (self.model.clock() - start).as_secs_f64());
                }
            }
            // Who was waiting for it is swept; for others it is planned again.
            Err(ForwardError::Interrupted) => {}
            Err(ForwardError::Failed(_)) if step.runs.len() > 1 => {
                step.apart().for_each(|alone| self.compute(&alone));
            }
            Err(ForwardError::Failed(message)) => {
                for &id in &step.ids {
                    self.end(id, false, |job| job.fail(message.clone()));
                }
            }
        }
    }

    /// Fills `rows`; every failure becomes an error.
    fn forward(&mut self, step: &Step) -> Result<(), ForwardError> {
        let (model, rows) = (&mut self.model, &mut self.rows);
        catch("the forward pass", || model.forward(&step.runs, rows))
            .map_err(ForwardError::Failed)??;
        let (n_vocab, width) = (self.model.n_vocab(), self.model.abilities().width);
        let n_logits = step.runs.iter().map(|run| run.n_rows()).sum::<usize>();
        let n_vectors = step.runs.iter().map(|run| run.n_vectors()).sum::<usize>();
        if self.rows.len() != n_logits * n_vocab + n_vectors * width {
            return Err(ForwardError::Failed(format!(
                "the forward pass gave {} numbers instead of {n_logits} rows of {n_vocab} and \
                 {n_vectors} of {width}",
                self.rows.len()
            )));
        }
        Ok(())
    }

    /// Hands the rows to their requests.
    fn absorb(&mut self, step: &Step) {
        let (n_vocab, width) = (self.model.n_vocab(), self.model.abilities().width);
        let n_vectors: usize = step.runs.iter().map(|run| run.n_vectors()).sum();
        let n_logits = self.rows.len() - n_vectors * width;
        let (mut logits, mut vectors) = self.rows.split_at_mut(n_logits);
        let mut outcomes = Vec::with_capacity(step.ids.len());
        for (id, run) in step.ids.iter().zip(&step.runs) {
            let rows = match run.n_vectors() {
                0 => take(&mut logits, run.n_rows() * n_vocab),
                n => take(&mut vectors, n * width),
            };
            let (Some(job), Some(sequence)) =
                (self.jobs.get_mut(id), self.scheduler.running_mut(*id))
            else {
                outcomes.push(Outcome::Failed);
                continue;
            };
            let part = self.shared.profile.enter(Part::Sampling);
            let outcome = job.absorb(sequence, run, rows, &mut self.scratch);
            drop(part);
            outcomes.push(outcome);
        }
        self.scheduler.absorb(step, &outcomes);
        let mut texts = Vec::new();
        for (&id, outcome) in step.ids.iter().zip(outcomes) {
            match outcome {
                Outcome::Continue => {}
                Outcome::Append(_) | Outcome::Shift(..) => self.fresh.push(id),
                Outcome::Done | Outcome::Failed => texts.extend(self.retire(id)),
            }
        }
        for pooling in Pooling::ALL {
            let asks = |text: &mut Text| text.of().pooling == pooling;
            let texts: Vec<Text> = texts.extract_if(.., asks).collect();
            if !texts.is_empty() {
                self.finish(pooling, texts);
            }
        }
    }

    /// Gives out what is new. Whoever has it finds the engine's state up to date.
    fn publish(&mut self) {
        let pager = self.scheduler.pager();
        *lock(&self.shared.status) = Status {
            running: self.scheduler.n_running(),
            waiting: self.scheduler.n_waiting() + self.backlog.len(),
            n_pages: pager.n_pages(),
            used_pages: pager.n_held(),
            kept_pages: pager.n_kept(),
        };
        let mut told = Vec::new();
        for id in self.fresh.drain(..) {
            let watched = self.jobs.get_mut(&id).is_some_and(Job::deliver);
            told.extend(watched.then_some(id));
        }
        for (id, mut job) in self.ended.drain(..) {
            told.extend(job.deliver().then_some(id));
        }
        self.embeddings.retain(|of| {
            let ended = of.has_ended();
            if ended {
                self.shared.unfinished.fetch_sub(1, Ordering::SeqCst);
                told.extend(of.deliver().then_some(of.id()));
            }
            !ended
        });
        self.shared.ready.push(told);
    }

    fn set_awake(&mut self, awake: bool) {
        if self.awake != awake {
            self.awake = awake;
            self.model.awake(awake);
        }
    }
}

/// Takes the first `n` of a slice.
fn take<'a>(rest: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    let (first, others) = mem::take(rest).split_at_mut(n);
    *rest = others;
    first
}
