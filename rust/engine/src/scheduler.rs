//! What the next pass computes.
//!
//! Every step has a budget of tokens, shared out among the running sequences (see [`crate::budget`]): a
//! sequence that generates needs one token, a new prompt takes what is left, and two prompts take half
//! each. Sequences are admitted in their order, by priority and age, while there are pages for all
//! their tokens; they get the pages when they need them. If pages run out all the same, the last one in
//! that order goes back to the queue. Its tokens stay, only its count of computed ones goes back.
//!
//! The oldest waiting sequence is overtaken a few times at most, and then goes before all others: it is
//! never starved, however many of higher priority come.
//!
//! A sequence that begins like a running one stays in the queue while that one computes what both need;
//! others go past it. It holds nothing meanwhile, so whatever happens to the other, it goes on.

mod loading;
mod room;
mod sharing;

use farthing_models::{Page, Run, Wants};

use crate::budget::{Budget, Demand, share};
use crate::pager::Pager;
use crate::prefix::{Prefixes, Unsaved};
use crate::scheduler::loading::Loading;
use crate::sequence::Sequence;
use crate::states::Pool;

/// How often the oldest waiting sequence may be overtaken.
const MAX_OVERTAKES: usize = 3;

/// The scheduler's limits.
pub(crate) struct Limits {
    /// Positions of a sequence; the pages must suffice for one.
    pub n_ctx: usize,
    /// Sequences running at the same time.
    pub max_sequences: usize,
    /// Whether a sequence must be computed in one run. They leave nothing behind, so that as many run
    /// as there are pages for.
    pub whole: bool,
    /// Rows of logits that evaluations get in one pass.
    pub max_rows: usize,
    /// Pages kept for reuse beside those in use; with 0 nothing is shared.
    pub kept_pages: usize,
    /// The sizes of files, if what is kept is in files too.
    pub files: Option<Sizes>,
}

/// Bytes of what is in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub page: usize,
    pub state: usize,
}

/// One pass.
#[derive(Default)]
pub(crate) struct Step {
    /// The sequence of each run.
    pub ids: Vec<u64>,
    pub runs: Vec<Run>,
}

impl Step {
    /// A step for each run.
    pub fn apart(&self) -> impl Iterator<Item = Step> {
        let alone = |(&id, run): (&u64, &Run)| Step { ids: vec![id], runs: vec![run.clone()] };
        self.ids.iter().zip(&self.runs).map(alone)
    }
}

/// What is to be done with pages and slots before any is written, in this order.
#[derive(Debug)]
pub(crate) enum Move {
    /// Copies a page to another one.
    Copy { from: Page, to: Page },
    /// Saves what is about to be lost.
    Save(Unsaved),
}

/// What becomes of a sequence after its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is more to compute.
    Continue,
    /// This token follows.
    Append(u32),
    /// The same, and then those between these places are taken out.
    Shift(u32, (usize, usize)),
    /// It has ended.
    Done,
    /// It has failed, and its pages are not to be trusted.
    Failed,
}

/// The sequences and the cache's pages.
pub(crate) struct Scheduler {
    limits: Limits,
    pager: Pager,
    prefixes: Prefixes,
    states: Pool,
    /// In the order of their ranks.
    running: Vec<Sequence>,
    /// In the order of their ranks.
    waiting: Vec<Sequence>,
    /// How many were admitted before the oldest waiting one.
    overtakes: usize,
    moves: Vec<Move>,
    loading: Option<Loading>,
}

impl Scheduler {
    pub fn new(limits: Limits, n_pages: usize, page_len: usize, n_states: usize) -> Scheduler {
        Scheduler {
            pager: Pager::new(n_pages, page_len),
            prefixes: Prefixes::new(limits.files.map(|_| page_len)),
            states: Pool::new(n_states),
            running: Vec::new(),
            waiting: Vec::new(),
            overtakes: 0,
            moves: Vec::new(),
            loading: None,
            limits,
        }
    }

    pub fn pager(&self) -> &Pager {
        &self.pager
    }

    pub fn n_running(&self) -> usize {
        self.running.len()
    }

    pub fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The running sequence of this number.
    pub fn running(&self, id: u64) -> Option<&Sequence> {
        self.index(id).map(|index| &self.running[index])
    }

    fn index(&self, id: u64) -> Option<usize> {
        self.running.iter().position(|s| s.id == id)
    }

    /// The same, to be changed.
    pub fn running_mut(&mut self, id: u64) -> Option<&mut Sequence> {
        self.index(id).map(|index| &mut self.running[index])
    }

    /// Tokens that the running sequences wait for.
    pub fn n_remaining(&self) -> usize {
        self.running.iter().map(Sequence::remaining).sum()
    }

    /// Puts a sequence into the queue.
    pub fn add(&mut self, mut sequence: Sequence) {
        if self.limits.kept_pages == 0 {
            sequence.sharing = None;
        }
        let n_pages = sequence.sharable().len() / self.pager.page_len();
        sequence.may_load =
            self.limits.files.is_some() && sequence.sharing == Some(0) && n_pages > 0;
        insert(&mut self.waiting, sequence);
    }

    /// The runs of the next pass, for the running sequences. No tokens count as computed until it is
    /// absorbed, so a pass that fails is planned again.
    pub fn plan(&mut self, budget: Budget) -> Step {
        let shares = self.shares(budget);
        let mut step = Step::default();
        for (index, &share) in shares.iter().enumerate() {
            let share = self.until_checkpoint(index, share);
            if share == 0 {
                continue;
            }
            while index < self.running.len() && !(self.grow(index, share) && self.begin(index)) {
                self.preempt();
            }
            let Some(sequence) = self.running.get(index) else {
                break;
            };
            step.ids.push(sequence.id);
            step.runs.push(sequence.run(share));
        }
        step
    }

    /// What is to be done before the next pass, or before anything else writes to a page or a slot.
    pub fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    /// Whether something is in no file yet.
    pub fn has_unsaved(&self) -> bool {
        self.prefixes.has_unsaved()
    }

    /// Something that is in no file yet, to be saved now.
    pub fn next_unsaved(&mut self) -> Option<Unsaved> {
        self.prefixes.next_unsaved()
    }

    /// Takes the outcomes of a pass, one for each run.
    pub fn absorb(&mut self, step: &Step, outcomes: &[Outcome]) {
        for ((&id, run), &outcome) in step.ids.iter().zip(&step.runs).zip(outcomes) {
            let Some(index) = self.index(id) else {
                continue;
            };
            let sequence = &mut self.running[index];
            sequence.discard_draft();
            sequence.computed = (run.start + run.tokens.len()).min(sequence.tokens.len());
            self.states.release(sequence.state);
            sequence.state = sequence.next_state.take();
            if outcome != Outcome::Failed {
                self.share(index);
            }
            match outcome {
                Outcome::Continue => {}
                Outcome::Append(token) => self.running[index].tokens.push(token),
                Outcome::Shift(token, gap) => self.shift(index, token, gap),
                Outcome::Done => self.remove(id, true),
                Outcome::Failed => self.remove(id, false),
            }
        }
    }

    /// Takes tokens out of a running sequence that has got its next one. Where the others then stand they
    /// have not been computed, so it begins anew.
    fn shift(&mut self, index: usize, token: u32, gap: (usize, usize)) {
        let mut sequence = self.running.remove(index);
        self.free(&mut sequence, true);
        sequence.tokens.push(token);
        sequence.tokens.drain(gap.0..gap.1);
        sequence.n_prompt = sequence.tokens.len();
        insert(&mut self.waiting, sequence);
    }

    /// Removes a sequence from the running ones or from the queue. With `keep` what it has computed
    /// stays for later sequences.
    pub fn remove(&mut self, id: u64, keep: bool) {
        if let Some(index) = self.index(id) {
            let mut sequence = self.running.remove(index);
            self.free(&mut sequence, keep);
        } else {
            self.stop_loading(id);
            self.waiting.retain(|sequence| sequence.id != id);
        }
    }

    /// Moves sequences from the queue to the running ones.
    pub fn admit(&mut self) {
        let mut at = 0;
        let most = if self.limits.whole { usize::MAX } else { self.limits.max_sequences };
        while self.running.len() < most.min(self.states.capacity()) {
            if self.overtakes >= MAX_OVERTAKES {
                at = self.promote(at);
            }
            let Some(next) = self.waiting.get(at) else {
                return;
            };
            let found = self.find(next);
            if next.may_load || self.is_being_computed(next, &found) {
                at += 1;
                continue;
            }
            let needed = self.reserve(next) - self.prefixes.held_pages(&found, &self.pager);
            if self.pager.n_held() + self.n_promised() + needed > self.pager.n_pages() {
                return;
            }
            let sequence = self.waiting.remove(at);
            // Those before it do not wait for a place.
            let is_overtaking = self.waiting[at..].iter().any(|s| s.id < sequence.id);
            self.overtakes = if is_overtaking { self.overtakes + 1 } else { 0 };
            self.run(sequence, &found);
        }
    }

    /// Puts the oldest of the sequences waiting from this place on before all others; gives its new place,
    /// or this one if there are none.
    fn promote(&mut self, at: usize) -> usize {
        self.overtakes = 0;
        let oldest = (at..self.waiting.len()).min_by_key(|&index| self.waiting[index].id);
        oldest.map_or(at, |oldest| {
            let mut sequence = self.waiting.remove(oldest);
            sequence.is_overdue_now();
            insert(&mut self.waiting, sequence)
        })
    }

    /// How many tokens of each running sequence to compute.
    fn shares(&self, budget: Budget) -> Vec<usize> {
        if self.limits.whole {
            return self.running.iter().map(Sequence::remaining).collect();
        }
        let is_evaluation = |s: &Sequence| s.wants == Wants::All;
        let n_evaluations = self.running.iter().filter(|s| is_evaluation(s)).count();
        let rows = (self.limits.max_rows / n_evaluations.max(1)).max(1);
        let demand = |s: &Sequence| {
            let most = if is_evaluation(s) { rows } else { usize::MAX };
            Demand { tokens: s.remaining().min(most), priority: s.priority }
        };
        let generating = self.running.iter().filter(|s| s.is_generating());
        let n_generating = generating.map(Sequence::remaining).sum();
        let demands: Vec<Demand> = self.running.iter().map(demand).collect();
        share(budget.tokens(n_generating), &demands)
    }

    /// So many of the next tokens, or fewer, if a state between is to be kept.
    fn until_checkpoint(&self, index: usize, n: usize) -> usize {
        match self.running.get(index) {
            Some(s) if self.states.is_used() && s.sharing.is_some() => {
                n.min(s.next_checkpoint(self.pager.page_len()) - s.computed)
            }
            _ => n,
        }
    }
}

/// Puts a sequence at its place, which is given back, in a list in the order of ranks.
fn insert(list: &mut Vec<Sequence>, sequence: Sequence) -> usize {
    let index = list.partition_point(|other| other.rank() < sequence.rank());
    list.insert(index, sequence);
    index
}

#[cfg(test)]
mod tests;
