//! A request being answered: its rows of logits in, its outputs out.

use std::time::Instant;

use farthing_models::Run;

use crate::catch::catch;
use crate::engine::Config;
use crate::grammar::{Constrained, Mask, MaskThread};
use crate::handle::Outbox;
use crate::request::{FinishReason, Logprob, Output, Request, Shift, Timings, Usage};
use crate::sampler::{Sampler, Scratch};
use crate::scheduler::Outcome;
use crate::sequence::Sequence;
use crate::speculation::{Draft, Guesser, Guessing, Kind};

pub(crate) struct Generation {
    outbox: Outbox,
    sampler: Sampler,
    guesser: Guesser,
    constraint: Option<Constrained>,
    stop_tokens: Vec<u32>,
    /// At most so many tokens are given out.
    limit: usize,
    /// Positions of the context.
    n_ctx: usize,
    shift: Option<Shift>,
    /// Tokens thrown away.
    n_shifted: usize,
    /// Tokens of the prompt.
    n_prompt: usize,
    /// Those taken from earlier requests.
    n_cached: usize,
    /// Those that are in the cache, or were before a preemption.
    n_computed: usize,
    /// Tokens chosen.
    n_chosen: usize,
    /// Tokens given out.
    n_given: usize,
    submitted: Instant,
    deadline: Option<Instant>,
    started: Option<Instant>,
    first_token: Option<Instant>,
}

/// A token that was chosen.
struct Chosen {
    id: u32,
    logprob: Option<Logprob>,
    /// It is a stop token.
    stops: bool,
    /// After it the constraint allows nothing.
    completes: bool,
}

impl Generation {
    /// The answer to a valid request, and its prompt.
    pub fn new(
        request: Request,
        outbox: Outbox,
        submitted: Instant,
        config: &Config,
    ) -> (Generation, Vec<u32>) {
        let n_prompt = request.tokens.len();
        let room = if request.shift.is_some() { usize::MAX } else { config.n_ctx - n_prompt };
        let n_draft_max =
            request.n_draft_max.map_or(config.n_draft_max, |n| n.min(config.n_draft_max));
        let generation = Generation {
            outbox,
            sampler: Sampler::new(&request),
            guesser: Guesser::new(n_draft_max, config.prompt_lookup),
            constraint: request.constraint.map(Constrained::new),
            stop_tokens: request.stop_tokens,
            limit: request.max_tokens.map_or(room, |n| n.min(room)),
            n_ctx: config.n_ctx,
            shift: request.shift,
            n_shifted: 0,
            n_prompt,
            n_cached: 0,
            n_computed: 0,
            n_chosen: 0,
            n_given: 0,
            submitted,
            deadline: request.timeout.and_then(|timeout| submitted.checked_add(timeout)),
            started: None,
            first_token: None,
        };
        (generation, request.tokens)
    }

    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// When the answer ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// A pass with a run of it begins; these tokens are guessed.
    pub fn start(&mut self, n_cached: usize, guesses: &[u32], masks: &mut MaskThread) {
        if let Some(constraint) = &mut self.constraint {
            constraint.prepare(masks, guesses);
        }
        if self.started.is_none() {
            self.started = Some(Instant::now());
            self.n_cached = n_cached;
            self.n_computed = n_cached;
        }
    }

    /// Its sequence of these tokens with guesses of the next ones.
    pub fn guess<'a>(&'a mut self, id: u64, tokens: &'a [u32]) -> Guessing<'a> {
        // One token comes without being guessed.
        let left = (self.limit - self.n_given).saturating_sub(1);
        let left = left.min(self.n_ctx.saturating_sub(tokens.len() + 1));
        let room = self.guesser.n_max().min(left);
        let begun = self.n_given > 0;
        // An error comes again when the mask is needed.
        let forced = self.constraint.as_mut().and_then(|constraint| constraint.forced().ok());
        if let Some(forced) = forced.filter(|tokens| !tokens.is_empty()) {
            let draft = self.guesser.forced(forced, room);
            let room = draft.tokens.len();
            return Guessing { id, tokens, guesser: &mut self.guesser, room, begun, draft };
        }
        let draft = self.guesser.look_up(tokens, room);
        Guessing { id, tokens, guesser: &mut self.guesser, room, begun, draft }
    }

    /// Leaves of some guesses those that its constraint allows.
    pub fn permit(&mut self, draft: &mut Draft) {
        if let Some(constraint) = &mut self.constraint {
            draft.truncate(constraint.allowed(&draft.tokens).unwrap_or_default());
        }
    }

    /// The first `n` guesses, of these kinds, are in the sequence now.
    pub fn drafted(&mut self, kinds: &[Kind], n: usize) {
        self.guesser.drafted(kinds, n);
    }

    /// Takes a computed run with its rows of logits, that after the last certain token of the sequence and
    /// those after guesses, if it reaches there. Guesses that were right become certain.
    pub fn absorb(
        &mut self,
        run: &Run,
        rows: &mut [f32],
        sequence: &mut Sequence,
        scratch: &mut Scratch,
    ) -> Outcome {
        let end = run.start + run.tokens.len();
        self.n_computed = self.n_computed.max(end.min(self.n_prompt));
        if rows.is_empty() {
            return Outcome::Continue;
        }
        if self.n_given == self.limit {
            self.finish(FinishReason::Length);
            return Outcome::Done;
        }
        let (n_rows, mut n_right) = (run.n_rows(), 0);
        let (mut outcome, mut end) = (Outcome::Continue, None);
        for row in rows.chunks_exact_mut(rows.len() / n_rows) {
            let tokens = &sequence.tokens[..sequence.n_certain()];
            let chosen = catch("choosing a token", || self.choose(row, tokens, scratch));
            outcome = match chosen.and_then(|result| result) {
                Ok(chosen) => {
                    let id = chosen.id;
                    end = self.give(chosen);
                    if end.is_some() { Outcome::Done } else { Outcome::Append(id) }
                }
                Err(message) => {
                    self.fail(message);
                    Outcome::Failed
                }
            };
            match outcome {
                Outcome::Append(id) if n_right + 1 < n_rows && sequence.accept(id) => n_right += 1,
                _ => break,
            }
        }
        let ended = matches!(outcome, Outcome::Done | Outcome::Failed);
        self.guesser.verified(n_rows - 1, n_right, ended);
        if let Some(reason) = end {
            self.finish(reason);
        }
        match (outcome, self.shift) {
            (Outcome::Append(id), Some(shift)) if sequence.n_certain() == self.n_ctx => {
                let gap = shift.gap(&sequence.tokens, self.n_ctx, self.n_prompt);
                self.n_shifted += gap.len();
                self.guesser.forget();
                Outcome::Shift(id, (gap.start, gap.end))
            }
            _ => outcome,
        }
    }

    /// Chooses the next token after these.
    fn choose(
        &mut self,
        row: &mut [f32],
        tokens: &[u32],
        scratch: &mut Scratch,
    ) -> Result<Chosen, String> {
        let mask = match &mut self.constraint {
            Some(constraint) => constraint.mask()?,
            None => &Mask::Any,
        };
        let (id, logprob) = self.sampler.sample(row, mask, tokens, scratch)?;
        self.sampler.accept(id);
        let stops = self.stop_tokens.contains(&id);
        let completes = match &mut self.constraint {
            Some(constraint) if !stops => constraint.accept(id)?,
            _ => false,
        };
        Ok(Chosen { id, logprob, stops, completes })
    }

    /// Adds a chosen token to the outputs; says why it is the last one, if it is.
    fn give(&mut self, chosen: Chosen) -> Option<FinishReason> {
        let Chosen { id, logprob, stops, completes } = chosen;
        self.first_token.get_or_insert_with(Instant::now);
        self.n_chosen += 1;
        if stops {
            return Some(FinishReason::Stop);
        }
        self.n_given += 1;
        self.outbox.put(Output::Token { id, logprob });
        if completes {
            return Some(FinishReason::Stop);
        }
        (self.n_given == self.limit).then_some(FinishReason::Length)
    }

    /// Ends the answer.
    pub fn finish(&mut self, reason: FinishReason) {
        let last = Output::Finished {
            reason,
            usage: Usage {
                prompt_tokens: self.n_prompt,
                completion_tokens: self.n_given,
                cached_tokens: self.n_cached,
                shifted_tokens: self.n_shifted,
            },
            timings: self.timings(),
        };
        self.outbox.put_last(last);
    }

    /// Ends the answer with an error.
    pub fn fail(&mut self, message: String) {
        self.outbox.put_last(Output::Error(message));
    }

    fn timings(&self) -> Timings {
        let now = Instant::now();
        let started = self.started.unwrap_or(now);
        let first_token = self.first_token.unwrap_or(now);
        let ms = |from: Instant, to: Instant| (to - from).as_secs_f64() * 1e3;
        Timings {
            queue_ms: ms(self.submitted, started),
            prompt_ms: ms(started, first_token),
            predicted_ms: ms(first_token, now),
            prompt_n: self.n_computed - self.n_cached,
            predicted_n: self.n_chosen,
            cached_n: self.n_cached,
            draft_n: self.guesser.n_drafted,
            draft_n_accepted: self.guesser.n_accepted,
        }
    }
}
