//! A sequence: tokens, and how many of them are computed.

use std::cmp::Reverse;

use farthing_models::{Adapters, Page, Rows, Run, Slot, StateSlots, Wants};

use crate::prefix::Place;

/// In models with states, one is kept after so many pages, or after this part of the prompt, if that is more.
const CHECKPOINT_PAGES: usize = 8;
const CHECKPOINT_PART: usize = 8;
/// And one at the end of a page at least so many tokens before the end of the prompt: conversations go on
/// from there, but often with another form of the last message's beginning.
const CHECKPOINT_MARGIN: usize = 8;

/// The priority of a sequence that has been overtaken often enough: no request's is as high.
const OVERDUE: i64 = i64::MAX;

/// Who goes first: of higher priority, and of equals the older.
pub(crate) type Rank = (Reverse<i64>, u64);

/// Tokens to be computed, and where.
pub(crate) struct Sequence {
    /// The request's number: lower is older.
    pub id: u64,
    /// Higher goes first.
    pub priority: i64,
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
    /// `Last` for a text to continue, `All` for one to evaluate, `Vectors` for one to embed.
    pub wants: Wants,
    /// How many tokens were in the cache when it was last admitted.
    pub cached: usize,
    /// The namespace of what it may share; `None` keeps it to itself.
    pub sharing: Option<u64>,
    /// Its first so many pages are shared: all that are full, once it runs. They do not change any more.
    pub n_shared: usize,
    /// Where they end in the tree.
    pub place: Place,
    /// Tokens of the prompt.
    pub n_prompt: usize,
    /// What it is computed with.
    pub adapters: Adapters,
    /// Whether it waits for what files may hold of its beginning.
    pub may_load: bool,
}

impl Sequence {
    pub fn new(id: u64, tokens: Vec<u32>, wants: Wants) -> Sequence {
        let n_prompt = tokens.len();
        Sequence {
            id,
            priority: 0,
            tokens,
            drafted: 0,
            computed: 0,
            pages: Vec::new(),
            state: None,
            next_state: None,
            wants,
            cached: 0,
            sharing: None,
            n_shared: 0,
            place: Place::Root(0),
            n_prompt,
            adapters: Adapters::default(),
            may_load: false,
        }
    }

    /// The same with others of the namespace.
    pub fn sharing(mut self, namespace: Option<u64>) -> Sequence {
        self.sharing = namespace;
        self
    }

    /// What of its tokens another sequence may have computed: not the last, whose logits are wanted.
    pub fn sharable(&self) -> &[u32] {
        &self.tokens[..self.tokens.len() - 1]
    }

    /// Its place among others.
    pub fn rank(&self) -> Rank {
        (Reverse(self.priority), self.id)
    }

    /// It goes before all others from now on.
    pub fn is_overdue_now(&mut self) {
        self.priority = OVERDUE;
    }

    /// Whether the next token is chosen after a pass of few tokens: the prompt is computed, and somebody
    /// waits for what follows it.
    pub fn is_generating(&self) -> bool {
        self.tokens.len() > self.n_prompt && self.computed >= self.n_prompt
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

    /// The first position after the computed ones whose state is to be kept.
    pub fn next_checkpoint(&self, page_len: usize) -> usize {
        let every = self.checkpoint_distance(page_len);
        let next = (self.computed / every + 1) * every;
        let last = self.last_of_prompt(page_len);
        if last > self.computed { next.min(last) } else { next }
    }

    /// The last position up to this one whose state is to be kept, 0 if there is none.
    pub fn checkpoint_before(&self, position: usize, page_len: usize) -> usize {
        let every = self.checkpoint_distance(page_len);
        let last = self.last_of_prompt(page_len);
        (position / every * every).max(if last <= position { last } else { 0 })
    }

    fn checkpoint_distance(&self, page_len: usize) -> usize {
        page_len * CHECKPOINT_PAGES.max(self.n_prompt / CHECKPOINT_PART / page_len)
    }

    fn last_of_prompt(&self, page_len: usize) -> usize {
        self.n_prompt.saturating_sub(CHECKPOINT_MARGIN) / page_len * page_len
    }

    /// The run that computes the next `n` tokens.
    pub fn run(&self, n: usize) -> Run {
        let end = self.computed + n;
        let wants = match self.wants {
            Wants::Last | Wants::Vectors(Rows::Last) if end < self.n_certain() => Wants::Nothing,
            Wants::Vectors(Rows::First) if self.computed > 0 => Wants::Nothing,
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
            adapters: self.adapters.clone(),
        }
    }
}
