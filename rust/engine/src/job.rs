//! What the engine's thread knows of a request beside its sequence.

use std::time::Instant;

use farthing_models::Run;

use crate::embedding::Text;
use crate::error::Error;
use crate::evaluation::Collector;
use crate::gate::Flag;
use crate::generation::Generation;
use crate::grammar::MaskThread;
use crate::request::FinishReason;
use crate::sampler::Scratch;
use crate::scheduler::Outcome;
use crate::sequence::Sequence;
use crate::speculation::{Draft, Guessing, Kind};

pub(crate) enum Job {
    Generate(Box<Generation>),
    Evaluate(Collector),
    Embed(Text),
}

impl Job {
    pub fn flag(&self) -> &Flag {
        match self {
            Job::Generate(generation) => generation.outbox().flag(),
            Job::Evaluate(collector) => collector.flag(),
            Job::Embed(text) => text.flag(),
        }
    }

    /// When it ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Job::Generate(generation) => generation.deadline(),
            Job::Evaluate(_) | Job::Embed(_) => None,
        }
    }

    /// Lets the caller have what is new; true if the readers of [`crate::Engine::wait_ready`] are to
    /// hear of it.
    pub fn deliver(&mut self) -> bool {
        match self {
            Job::Generate(generation) => generation.outbox_mut().deliver(),
            Job::Evaluate(collector) => collector.deliver(),
            // A request is more than a text.
            Job::Embed(_) => false,
        }
    }

    /// Guesses of the tokens after those of its sequence.
    pub fn guess<'a>(&'a mut self, sequence: &'a Sequence) -> Option<Guessing<'a>> {
        match self {
            Job::Generate(generation) => Some(generation.guess(sequence.id, &sequence.tokens)),
            Job::Evaluate(_) | Job::Embed(_) => None,
        }
    }

    /// Leaves of some guesses those that may come.
    pub fn permit(&mut self, draft: &mut Draft) {
        if let Job::Generate(generation) = self {
            generation.permit(draft);
        }
    }

    /// The guesses that its sequence got, the first of those it gave.
    pub fn drafted(&mut self, kinds: &[Kind], n: usize) {
        if let Job::Generate(generation) = self {
            generation.drafted(kinds, n);
        }
    }

    /// A pass with a run of it begins.
    pub fn start(&mut self, sequence: &Sequence, masks: &mut MaskThread) {
        if let Job::Generate(generation) = self {
            let guesses = &sequence.tokens[sequence.n_certain()..];
            generation.start(sequence.cached, guesses, masks);
        }
    }

    /// Takes a computed run of the sequence with its rows of logits or vectors.
    pub fn absorb(
        &mut self,
        sequence: &mut Sequence,
        run: &Run,
        rows: &mut [f32],
        scratch: &mut Scratch,
    ) -> Outcome {
        match self {
            Job::Generate(generation) => generation.absorb(run, rows, sequence, scratch),
            Job::Evaluate(collector) => {
                collector.put(run.start * (rows.len() / run.tokens.len()), rows);
                if run.start + run.tokens.len() < sequence.tokens.len() {
                    return Outcome::Continue;
                }
                collector.finish();
                Outcome::Done
            }
            Job::Embed(text) => match text.absorb(run, rows) {
                true => Outcome::Done,
                false => Outcome::Continue,
            },
        }
    }

    /// Ends it before it is complete.
    pub fn stop(&mut self, reason: FinishReason) {
        match self {
            Job::Generate(generation) => generation.finish(reason),
            Job::Evaluate(collector) => collector.fail(Error::Cancelled),
            Job::Embed(text) => text.of().fail(Error::Cancelled),
        }
    }

    pub fn fail(&mut self, message: String) {
        match self {
            Job::Generate(generation) => generation.fail(message),
            Job::Evaluate(collector) => collector.fail(Error::Failed(message)),
            Job::Embed(text) => text.of().fail(Error::Failed(message)),
        }
    }
}
