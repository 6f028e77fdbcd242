//! A request being answered: its rows of logits in, its outputs out.

use std::time::Instant;

use farthing_models::Run;

use crate::catch::catch;
use crate::handle::Outbox;
use crate::request::{FinishReason, Logprob, Output, Request, Timings, Usage};
use crate::sampler::{Sampler, Scratch};
use crate::scheduler::Outcome;

pub(crate) struct Generation {
    outbox: Outbox,
    sampler: Sampler,
    stop_tokens: Vec<u32>,
    notify: bool,
    /// At most so many tokens are given out.
    limit: usize,
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
    started: Option<Instant>,
    first_token: Option<Instant>,
}

impl Generation {
    /// The answer to a valid request, and its prompt.
    pub fn new(
        request: Request,
        outbox: Outbox,
        submitted: Instant,
        n_ctx: usize,
    ) -> (Generation, Vec<u32>) {
        let n_prompt = request.tokens.len();
        let room = n_ctx - n_prompt;
        let generation = Generation {
            outbox,
            sampler: Sampler::new(&request),
            stop_tokens: request.stop_tokens,
            notify: request.notify,
            limit: request.max_tokens.map_or(room, |n| n.min(room)),
            n_prompt,
            n_cached: 0,
            n_computed: 0,
            n_chosen: 0,
            n_given: 0,
            submitted,
            started: None,
            first_token: None,
        };
        (generation, request.tokens)
    }

    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub fn notify(&self) -> bool {
        self.notify
    }

    /// The first pass with a run of it begins.
    pub fn start(&mut self, n_cached: usize) {
        if self.started.is_none() {
            self.started = Some(Instant::now());
            self.n_cached = n_cached;
            self.n_computed = n_cached;
        }
    }

    /// Takes a computed run with its logits after the last of `tokens`, if it reaches there.
    pub fn absorb(
        &mut self,
        run: &Run,
        row: &mut [f32],
        tokens: &[u32],
        scratch: &mut Scratch,
    ) -> Outcome {
        let end = run.start + run.tokens.len();
        self.n_computed = self.n_computed.max(end.min(self.n_prompt));
        if row.is_empty() {
            return Outcome::Continue;
        }
        if self.n_given == self.limit {
            self.finish(FinishReason::Length, Vec::new());
            return Outcome::Done;
        }
        let sampler = &mut self.sampler;
        let sampled = catch("choosing a token", || {
            let sampled = sampler.sample(row, tokens, scratch)?;
            sampler.accept(sampled.0);
            Ok(sampled)
        });
        match sampled.and_then(|result| result) {
            Ok((id, logprob)) => self.give(id, logprob),
            Err(message) => {
                self.fail(message);
                Outcome::Failed
            }
        }
    }

    fn give(&mut self, id: u32, logprob: Option<Logprob>) -> Outcome {
        self.first_token.get_or_insert_with(Instant::now);
        self.n_chosen += 1;
        if self.stop_tokens.contains(&id) {
            self.finish(FinishReason::Stop, Vec::new());
            return Outcome::Done;
        }
        self.n_given += 1;
        let token = Output::Token { id, logprob };
        if self.n_given == self.limit {
            self.finish(FinishReason::Length, vec![token]);
            return Outcome::Done;
        }
        self.outbox.send(vec![token], false);
        Outcome::Append(id)
    }

    /// Ends the answer after these last outputs.
    pub fn finish(&self, reason: FinishReason, mut outputs: Vec<Output>) {
        outputs.push(Output::Finished {
            reason,
            usage: Usage {
                prompt_tokens: self.n_prompt,
                completion_tokens: self.n_given,
                cached_tokens: self.n_cached,
            },
            timings: self.timings(),
        });
        self.outbox.send(outputs, true);
    }

    /// Ends the answer with an error.
    pub fn fail(&self, message: String) {
        self.outbox.send(vec![Output::Error(message)], true);
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
        }
    }
}
