//! A smaller model of the same vocabulary that guesses what the large one says.
//!
//! Each sequence has a twin here: the first of its tokens, computed by the small model. A twin is brought up to
//! date, a part at a time, and goes on greedily from there. What is left of it when its request ends
//! serves a later one that begins alike.

use farthing_models::{Adapters, Page, Run, Wants};

use super::{Costs, Draft, Guesser, Kind};
use crate::catch::catch;
use crate::engine::Config;
use crate::forward::{Forward, ForwardError};
use crate::sampler::most_likely;

/// The price of a model that is too dear is measured again after so many passes of the large one, then after
/// twice as many each time, or so many that measuring takes this part of their time, up to `MOST_PASSES`.
const FIRST_PASSES: f64 = 32.0;
const MEASURING: f64 = 0.01;
const MOST_PASSES: f64 = 1024.0;

/// A sequence whose next tokens are guessed.
pub(crate) struct Guessing<'a> {
    pub id: u64,
    pub tokens: &'a [u32],
    pub guesser: &'a mut Guesser,
    /// Guesses that there is room for.
    pub room: usize,
    /// Whether it has a token: the first does not wait for a draft model to read the prompt.
    pub begun: bool,
    pub draft: Draft,
}

/// What time is worth, in the unit of the passes' times.
#[derive(Clone, Copy)]
pub(crate) struct Prices {
    /// A token of the answer.
    pub token: f64,
    /// A guess to be computed by the large model.
    pub guess: f64,
}

impl Prices {
    /// Those when `n` sequences generate, in a pass of `n_rows` tokens without guesses.
    pub fn new(n: usize, n_rows: usize, costs: &Costs) -> Prices {
        // A few guesses, since it may be the first that costs most.
        let guess = (costs.time(n_rows + 4) - costs.time(n_rows)) / 4.0;
        Prices { token: costs.time(n) / n as f64, guess: guess.max(0.0) }
    }
}

/// The model and what is in its cache.
pub(crate) struct Drafter {
    model: Box<dyn Forward>,
    /// Tokens that the large model knows.
    n_vocab: usize,
    /// Positions of a twin.
    n_ctx: usize,
    /// Tokens computed for a pass of the large model.
    n_batch: usize,
    twins: Vec<Twin>,
    free: Vec<Page>,
    /// Counts the uses of twins.
    clock: u64,
    costs: Costs,
    doubt: Doubt,
    logits: Vec<f32>,
}

/// Whether a price that is too high is still what was measured.
struct Doubt {
    /// Passes without asking because of it, since it was measured.
    passes: f64,
    /// Those until it is measured again.
    patience: f64,
}

#[derive(Default)]
struct Twin {
    /// The request that it is for; nobody's are for whoever begins alike.
    id: Option<u64>,
    /// Those computed.
    tokens: Vec<u32>,
    /// At least as many as they take.
    pages: Vec<Page>,
    /// When it was used last.
    used: u64,
}

impl Drafter {
    /// A model of the same vocabulary as one with `n_vocab` tokens, and the engine's limits.
    pub fn new(model: Box<dyn Forward>, n_vocab: usize, config: &Config) -> Drafter {
        let page_len = model.page_len();
        // What is idle takes no more memory than what could be running.
        let n_pages = model.n_pages().min(config.n_ctx.div_ceil(page_len) * config.max_sequences);
        Drafter {
            n_vocab,
            n_ctx: config.n_ctx.min(n_pages * page_len),
            n_batch: config.n_batch,
            twins: Vec::new(),
            free: (0..n_pages as Page).rev().collect(),
            clock: 0,
            costs: Costs::default(),
            doubt: Doubt { passes: 0.0, patience: FIRST_PASSES },
            logits: Vec::new(),
            model,
        }
    }

    /// The twin of a request that has ended serves others now.
    pub fn forget(&mut self, id: u64) {
        for twin in self.twins.iter_mut().filter(|twin| twin.id == Some(id)) {
            twin.id = None;
        }
    }

    /// Makes guesses, as far as they pay, for those sequences whose own text does not tell better.
    /// After an interrupt there are those made so far.
    ///
    /// # Errors
    /// The model failed.
    pub fn draft(&mut self, all: &mut [Guessing<'_>], prices: Prices) -> Result<(), String> {
        let pass = prices.token * all.len() as f64;
        let cost = self.price(all.len()) / prices.token;
        let mut asked: Vec<_> = all.iter_mut().filter(|g| g.asks_model(cost)).collect();
        let price = self.price(asked.len()) + prices.guess;
        let doubted = asked.first().filter(|_| price >= prices.token && self.doubt.is_due());
        if let Some(guessing) = doubted {
            return self.awake(|drafter| drafter.measure(guessing, pass));
        }
        asked.retain_mut(|g| g.guesser.tries_model(prices.token / price));
        if asked.is_empty() {
            return Ok(());
        }
        self.awake(|drafter| drafter.go(&mut asked, prices))
    }

    /// Computes something with the model.
    fn awake(
        &mut self,
        compute: impl FnOnce(&mut Drafter) -> Result<(), ForwardError>,
    ) -> Result<(), String> {
        self.model.awake(true);
        let result = compute(self);
        self.model.awake(false);
        match result {
            Err(ForwardError::Failed(message)) => Err(message),
            Ok(()) | Err(ForwardError::Interrupted) => Ok(()),
        }
    }

    /// Computes a token of a sequence to find out how long that takes, where the large model takes `pass`.
    fn measure(&mut self, guessing: &Guessing<'_>, pass: f64) -> Result<(), ForwardError> {
        let twin = self.twin(guessing.id, guessing.tokens);
        let Some(run) = self.run(twin, guessing, 1) else {
            return Ok(());
        };
        let run = Run { wants: Wants::Last, ..run };
        let time = self.time(std::slice::from_ref(&run))?;
        self.twins[twin].tokens.extend(run.tokens);
        self.costs.correct(1, time);
        self.doubt.measured(time / pass);
        Ok(())
    }

    fn go(&mut self, asked: &mut [&mut Guessing<'_>], prices: Prices) -> Result<(), ForwardError> {
        let twins: Vec<usize> = asked.iter().map(|g| self.twin(g.id, g.tokens)).collect();
        for guessing in &mut *asked {
            guessing.draft = Draft::default();
        }
        let mut left = self.n_batch;
        let mut going: Vec<usize> = (0..asked.len()).collect();
        loop {
            let mut runs = Vec::new();
            going.retain(|&index| {
                let run = self.run(twins[index], asked[index], left);
                left -= run.as_ref().map_or(0, |run| run.tokens.len());
                let runs_on = run.is_some();
                runs.extend(run);
                runs_on
            });
            if runs.is_empty() {
                return Ok(());
            }
            let time = self.time(&runs)?;
            self.costs.learn(runs.iter().map(|run| run.tokens.len()).sum(), time);
            let price = self.price(runs.len()) + prices.guess;
            let n_vocab = self.model.n_vocab();
            let mut rows = self.logits.chunks_exact_mut(n_vocab);
            let mut runs = runs.into_iter();
            going.retain(|&index| {
                let Some(run) = runs.next() else {
                    return false;
                };
                self.twins[twins[index]].tokens.extend(run.tokens);
                let guess = match run.wants {
                    Wants::Nothing => None,
                    _ => rows
                        .next()
                        .and_then(|row| most_likely(&mut row[..self.n_vocab.min(n_vocab)])),
                };
                guess.is_some_and(|guess| asked[index].add(guess) * prices.token > price)
            });
        }
    }

    /// The twin of a request, with nothing computed that is not among these tokens, and not all of them.
    fn twin(&mut self, id: u64, tokens: &[u32]) -> usize {
        let common = |twin: &Twin| {
            let pairs = twin.tokens.iter().zip(&tokens[..tokens.len() - 1]);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let is_own = |twin: &Twin| twin.id == Some(id);
        // What has less than a page in common is kept for others.
        let begins_alike = |twin: &Twin| twin.id.is_none() && common(twin) >= self.model.page_len();
        let found = self.twins.iter().position(is_own).or_else(|| {
            let alike = (0..self.twins.len()).filter(|&i| begins_alike(&self.twins[i]));
            alike.max_by_key(|&i| common(&self.twins[i]))
        });
        let is_empty = |twin: &Twin| twin.id.is_none() && twin.pages.is_empty();
        let index = found.or_else(|| self.twins.iter().position(is_empty)).unwrap_or_else(|| {
            self.twins.push(Twin::default());
            self.twins.len() - 1
        });
        let n = common(&self.twins[index]);
        self.clock += 1;
        let twin = &mut self.twins[index];
        twin.tokens.truncate(n);
        (twin.id, twin.used) = (Some(id), self.clock);
        index
    }

    /// A twin's next run towards its sequence's tokens and the guesses after them, of at most `left`
    /// tokens; `None` if there is no room for it.
    fn run(&mut self, twin: usize, guessing: &Guessing<'_>, left: usize) -> Option<Run> {
        let start = self.twins[twin].tokens.len();
        let n = guessing.tokens.len() + guessing.draft.tokens.len();
        let end = n.min(start + left);
        if end <= start || end > self.n_ctx {
            return None;
        }
        let text = guessing.tokens.iter().chain(&guessing.draft.tokens);
        let tokens: Vec<u32> = text.skip(start).take(end - start).copied().collect();
        if tokens.iter().any(|&token| token as usize >= self.model.n_vocab()) {
            return None;
        }
        while self.twins[twin].pages.len() < end.div_ceil(self.model.page_len()) {
            let page = self.free.pop().or_else(|| self.evict())?;
            self.twins[twin].pages.push(page);
        }
        let wants = if end < n { Wants::Nothing } else { Wants::Last };
        let pages = self.twins[twin].pages.clone();
        // Adapters are of the other model.
        Some(Run { tokens, start, pages, state: None, wants, adapters: Adapters::default() })
    }

    /// A page of the twin of nobody's that was used least recently.
    fn evict(&mut self) -> Option<Page> {
        let idle = self.twins.iter_mut().filter(|t| t.id.is_none() && !t.pages.is_empty());
        let twin = idle.min_by_key(|twin| twin.used)?;
        twin.tokens.clear();
        self.free.append(&mut twin.pages);
        self.free.pop()
    }

    /// Fills `logits`; the seconds that takes.
    fn time(&mut self, runs: &[Run]) -> Result<f64, ForwardError> {
        let start = self.model.clock();
        let (model, logits) = (&mut self.model, &mut self.logits);
        catch("the draft model's pass", || model.forward(runs, logits))
            .map_err(ForwardError::Failed)??;
        Ok((self.model.clock() - start).as_secs_f64())
    }

    /// The time of a guess where so many are made in a pass, 0 before it is known.
    fn price(&self, n: usize) -> f64 {
        if self.costs.are_known() { self.costs.time(n) / n.max(1) as f64 } else { 0.0 }
    }
}

impl Doubt {
    /// A pass goes without asking: whether the price is to be measured before.
    fn is_due(&mut self) -> bool {
        self.passes += 1.0;
        self.passes > self.patience
    }

    /// That has taken so many passes' time.
    fn measured(&mut self, passes: f64) {
        self.passes = 0.0;
        self.patience = (2.0 * self.patience).max(passes / MEASURING).min(MOST_PASSES);
    }
}

impl Guessing<'_> {
    /// Whether the model's guess is worth more than the text's, at this part of a token's price.
    fn asks_model(&self, cost: f64) -> bool {
        let worth = self.guesser.chance(Kind::MODEL) - cost;
        self.begun && self.room > 0 && self.draft.chances.first().is_none_or(|&own| worth > own)
    }

    /// Adds a guess with its probability; how probable it is that all are right, and one more, 0 if there is no room.
    fn add(&mut self, (token, probability): (u32, f64)) -> f64 {
        let kind = Kind::model(probability);
        self.draft.tokens.push(token);
        self.draft.kinds.push(kind);
        self.draft.chances.push(self.guesser.chance(kind));
        let all: f64 = self.draft.chances.iter().product();
        if self.draft.tokens.len() < self.room {
            all * self.guesser.chance(Kind::MODEL)
        } else {
            0.0
        }
    }
}
