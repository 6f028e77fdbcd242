//! The engine's thread: commands in, a pass, outputs out, and again.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use farthing_models::{Adapters, Part, Run, Wants};

use crate::budget::Budget;
use crate::catch::catch;
use crate::engine::{Config, Shared, Status, lock};
use crate::evaluation::Collector;
use crate::forward::{Forward, ForwardError};
use crate::generation::Generation;
use crate::handle::Outbox;
use crate::job::Job;
use crate::pace::Pace;
use crate::request::{FinishReason, Request};
use crate::sampler::Scratch;
use crate::scheduler::{Limits, Outcome, Scheduler, Step};
use crate::sequence::Sequence;
use crate::speculation::{Costs, Draft, Drafter, Prices, choose};

/// Evaluations get at most so many bytes of logits from one pass.
const EVALUATION_BYTES: usize = 64 << 20;

/// What the callers send, in the order of the requests' numbers.
pub(crate) enum Command {
    Generate(Box<GenerateCommand>),
    Evaluate(EvaluateCommand),
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
    /// Those of them with new outputs.
    fresh: Vec<u64>,
    /// Requests that have ended, with outputs that their callers do not have yet.
    ended: Vec<(u64, Job)>,
    costs: Costs,
    drafter: Option<Drafter>,
    logits: Vec<f32>,
    scratch: Scratch,
}

/// Says that the thread is gone, also after a panic.
struct CloseReady(Arc<Shared>);

impl Drop for CloseReady {
    fn drop(&mut self) {
        self.0.ready.close();
    }
}

impl Worker {
    pub fn new(
        model: Box<dyn Forward>,
        draft: Option<Box<dyn Forward>>,
        config: Config,
        commands: Receiver<Command>,
        shared: Arc<Shared>,
    ) -> Worker {
        let drafter = draft
            .filter(|_| config.n_draft_max > 0)
            .map(|draft| Drafter::new(draft, model.n_vocab(), &config));
        let row_bytes = model.n_vocab().max(1) * size_of::<f32>();
        let limits = Limits {
            n_ctx: config.n_ctx,
            max_sequences: config.max_sequences,
            max_rows: EVALUATION_BYTES / row_bytes,
            kept_pages: config.kept_pages,
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
            fresh: Vec::new(),
            ended: Vec::new(),
            costs: Costs::default(),
            drafter,
            logits: Vec::new(),
            scratch: Scratch::default(),
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
        worker.set_awake(false);
    }

    /// Takes the commands that are there, and waits for one if there is nothing else to do. False
    /// when the engine is closed.
    fn receive(&mut self) -> bool {
        loop {
            let command = if self.jobs.is_empty() {
                self.set_awake(false);
                self.commands.recv().ok()
            } else {
                match self.commands.try_recv() {
                    Err(TryRecvError::Empty) => return true,
                    command => command.ok(),
                }
            };
            match command {
                Some(Command::Generate(command)) => self.generate(*command),
                Some(Command::Evaluate(command)) => self.evaluate(command),
                Some(Command::Close) | None => return false,
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
        let now = Instant::now();
        let mut over = Vec::new();
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
        if !over.is_empty() {
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

    /// A request has its last output.
    fn retire(&mut self, id: u64) {
        self.drafter.iter_mut().for_each(|drafter| drafter.forget(id));
        if let Some(job) = self.jobs.remove(&id) {
            self.shared.unfinished.fetch_sub(1, Ordering::SeqCst);
            self.ended.push((id, job));
        }
    }

    /// The tokens of the next pass. One that would go far beyond a deadline has fewer.
    fn budget(&self) -> Budget {
        let whole = self.config.n_batch.max(self.config.max_sequences);
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
        let start = self.model.clock();
        let step = self.scheduler.plan(budget);
        debug_assert!(!step.runs.is_empty(), "there is always a sequence that fits");
        for &(from, to) in &step.copies {
            self.model.copy_page(from, to);
        }
        for id in &step.ids {
            if let (Some(job), Some(sequence)) =
                (self.jobs.get_mut(id), self.scheduler.running(*id))
            {
                job.start(sequence);
            }
        }
        let flags = step.ids.iter().filter_map(|id| self.jobs.get(id));
        if !self.shared.gate.begin(flags.map(|job| job.flag().clone()).collect()) {
            return;
        }
        let result = self.forward(&step);
        self.shared.gate.end();
        match result {
            Ok(()) => {
                let n_tokens: usize = step.runs.iter().map(|run| run.tokens.len()).sum();
                self.pace.note(n_tokens, self.model.clock() - start);
                self.absorb(&step);
                if n_tokens == step.runs.iter().map(Run::n_rows).sum() {
                    self.costs.learn(n_tokens, (self.model.clock() - start).as_secs_f64());
                }
            }
            // Who was waiting for it is swept; for others it is planned again.
            Err(ForwardError::Interrupted) => {}
            Err(ForwardError::Failed(message)) => {
                for &id in &step.ids {
                    self.end(id, false, |job| job.fail(message.clone()));
                }
            }
        }
    }

    /// Guesses what comes after sequences that generate.
    fn draft(&mut self, budget: usize) {
        let n_rows = self.scheduler.n_remaining().min(budget);
        let guessing = self.jobs.iter_mut().filter_map(|(&id, job)| {
            let sequence = self.scheduler.running(id).filter(|s| s.takes_draft())?;
            Some((job.flag().clone(), job.guess(sequence)?))
        });
        let (flags, mut guessing): (Vec<_>, Vec<_>) = guessing.unzip();
        let mut result = Ok(());
        if let Some(drafter) = self.drafter.as_mut().filter(|_| self.costs.are_known())
            && self.shared.gate.begin(flags)
        {
            let prices = Prices::new(guessing.len(), n_rows, &self.costs);
            result = drafter.draft(&mut guessing, prices);
            self.shared.gate.end();
        }
        let drafts: Vec<(u64, Draft)> = guessing.into_iter().map(|g| (g.id, g.draft)).collect();
        if let Err(message) = result {
            for (id, _) in drafts {
                self.end(id, false, |job| job.fail(message.clone()));
            }
            return;
        }
        if drafts.iter().all(|(_, draft)| draft.tokens.is_empty()) {
            return;
        }
        let lengths = choose(&drafts, n_rows, &self.costs);
        for ((id, draft), n) in drafts.iter().zip(lengths) {
            let n = self.scheduler.draft(*id, &draft.tokens[..n]);
            if let Some(job) = self.jobs.get_mut(id) {
                job.drafted(&draft.kinds, n);
            }
        }
    }

    /// Fills `logits`; every failure becomes an error.
    fn forward(&mut self, step: &Step) -> Result<(), ForwardError> {
        let (model, logits) = (&mut self.model, &mut self.logits);
        catch("the forward pass", || model.forward(&step.runs, logits))
            .map_err(ForwardError::Failed)??;
        let n_rows: usize = step.runs.iter().map(|run| run.n_rows()).sum();
        let n_vocab = self.model.n_vocab();
        if self.logits.len() != n_rows * n_vocab {
            return Err(ForwardError::Failed(format!(
                "the forward pass gave {} logits instead of {n_rows} rows of {n_vocab}",
                self.logits.len()
            )));
        }
        Ok(())
    }

    /// Hands the rows of logits to their requests.
    fn absorb(&mut self, step: &Step) {
        let n_vocab = self.model.n_vocab();
        let mut rest = self.logits.as_mut_slice();
        let mut outcomes = Vec::with_capacity(step.ids.len());
        for (id, run) in step.ids.iter().zip(&step.runs) {
            let (rows, others) = mem::take(&mut rest).split_at_mut(run.n_rows() * n_vocab);
            rest = others;
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
        for (&id, outcome) in step.ids.iter().zip(outcomes) {
            match outcome {
                Outcome::Continue => {}
                Outcome::Append(_) => self.fresh.push(id),
                Outcome::Done | Outcome::Failed => self.retire(id),
            }
        }
    }

    /// Gives out what is new. Whoever has it finds the engine's state up to date.
    fn publish(&mut self) {
        let pager = self.scheduler.pager();
        *lock(&self.shared.status) = Status {
            running: self.scheduler.n_running(),
            waiting: self.scheduler.n_waiting(),
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
        self.shared.ready.push(told);
    }

    fn set_awake(&mut self, awake: bool) {
        if self.awake != awake {
            self.awake = awake;
            self.model.awake(awake);
        }
    }
}
