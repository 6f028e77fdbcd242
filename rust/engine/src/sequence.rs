//! A sequence: tokens, and how many of them are computed.

use farthing_models::{Page, Run, Slot, StateSlots, Wants};

/// Tokens to be computed, and where.
pub(crate) struct Sequence {
    /// The request's number: lower is older.
    pub id: u64,
    /// The prompt, what was generated after it, and at the end what is only guessed.
    pub tokens: Vec<u32>,
    /// How many of the last tokens are guessed; none unless all others but one are computed.
    pub drafted: usize,
    /// The first so many tokens are in the cache.
    pub computed: usize,
    /// Its pages in order; at least as many as the computed tokens take.
    pub pages: Vec<Page>,
    /// The slot of its state after the computed tokens, in models with states.
    pub state: Option<Slot>,
    /// The slot that its next run writes the state to.
    pub next_state: Option<Slot>,
    /// `Last` for a text to continue, `All` for one to evaluate.
    pub wants: Wants,
    /// How many tokens were in the cache when it was last admitted.
    pub cached: usize,
}

impl Sequence {
    pub fn new(id: u64, tokens: Vec<u32>, wants: Wants) -> Sequence {
        Sequence {
            id,
            tokens,
            drafted: 0,
            computed: 0,
            pages: Vec::new(),
            state: None,
            next_state: None,
            wants,
            cached: 0,
        }
    }

    /// Tokens that are not computed yet.
    pub fn remaining(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Whether it waits for its next token alone, so that guesses may go after it.
    pub fn takes_draft(&self) -> bool {
        self.wants == Wants::Last && self.drafted == 0 && self.remaining() == 1
    }

    /// Adds guesses.
    pub fn draft(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
        self.drafted += tokens.len();
    }

    /// Tokens that are not guesses.
    pub fn n_certain(&self) -> usize {
        self.tokens.len() - self.drafted
    }

    /// Takes the first guess for certain if it is this token.
    pub fn accept(&mut self, token: u32) -> bool {
        let right = self.drafted > 0 && self.tokens[self.n_certain()] == token;
        self.drafted -= usize::from(right);
        right
    }

    /// Throws the guesses away.
    pub fn discard_draft(&mut self) {
        self.tokens.truncate(self.n_certain());
        self.drafted = 0;
    }

    /// Whether its pages are of use to later sequences.
    pub fn is_kept(&self) -> bool {
        self.wants == Wants::Last
    }

    /// The run that computes the next `n` tokens.
    pub fn run(&self, n: usize) -> Run {
        let end = self.computed + n;
        let wants = match self.wants {
            Wants::Last if end < self.n_certain() => Wants::Nothing,
            // The last certain token and guesses.
            Wants::Last if self.drafted > 0 => Wants::All,
            wants => wants,
        };
        Run {
            tokens: self.tokens[self.computed..end].to_vec(),
            start: self.computed,
            pages: self.pages.clone(),
            state: self.next_state.map(|to| StateSlots { from: self.state, to }),
            wants,
        }
    }
}
