//! What the next pass computes.
//!
//! Every step has a budget of tokens. It is shared out evenly among the running sequences, and what
//! one has no use for goes to the others: a sequence that generates needs one token, a new prompt
//! takes what is left, and two prompts take half each. Sequences are admitted in their order while
//! there are pages for all their tokens; they get the pages when they need them. If pages run out
//! all the same, the youngest sequence goes back to the head of the queue. Its tokens stay, only its
//! count of computed ones goes back.

use std::collections::VecDeque;

use farthing_models::{Run, Wants};

use crate::pager::Pager;
use crate::prefix::{Match, Prefixes};
use crate::sequence::Sequence;
use crate::states::Pool;

/// The scheduler's limits.
pub(crate) struct Limits {
    /// Positions of a sequence; the pages must suffice for one.
    pub n_ctx: usize,
    /// Sequences running at the same time.
    pub max_sequences: usize,
    /// Rows of logits that evaluations get in one pass.
    pub max_rows: usize,
}

/// One pass.
#[derive(Default)]
pub(crate) struct Step {
    /// The sequence of each run.
    pub ids: Vec<u64>,
    pub runs: Vec<Run>,
}

/// What becomes of a sequence after its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is more to compute.
    Continue,
    /// This token follows.
    Append(u32),
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
    /// From the oldest to the youngest, so in the order of their numbers.
    running: Vec<Sequence>,
    waiting: VecDeque<Sequence>,
}

impl Scheduler {
    pub fn new(limits: Limits, n_pages: usize, page_len: usize, n_states: usize) -> Scheduler {
        Scheduler {
            limits,
            pager: Pager::new(n_pages, page_len),
            prefixes: Prefixes::default(),
            states: Pool::new(n_states),
            running: Vec::new(),
            waiting: VecDeque::new(),
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
        self.running.binary_search_by_key(&id, |s| s.id).ok()
    }

    /// The same, to be changed.
    pub fn running_mut(&mut self, id: u64) -> Option<&mut Sequence> {
        self.index(id).map(|index| &mut self.running[index])
    }

    /// The sequences to which guesses may be added.
    pub fn takers(&self) -> impl Iterator<Item = &Sequence> {
        self.running.iter().filter(|s| s.takes_draft())
    }

    /// Tokens that the running sequences wait for.
    pub fn n_remaining(&self) -> usize {
        self.running.iter().map(Sequence::remaining).sum()
    }

    /// Adds guesses to a sequence, as many as have pages that nobody else needs now; says how many.
    pub fn draft(&mut self, id: u64, tokens: &[u32]) -> usize {
        let spare = self.pager.n_pages().saturating_sub(self.pager.n_held() + self.n_promised());
        let Some(index) = self.index(id) else {
            return 0;
        };
        let sequence = &self.running[index];
        let n_pages = self.reserve(sequence).max(sequence.pages.len()) + spare;
        let room = (n_pages * self.pager.page_len()).saturating_sub(sequence.tokens.len());
        let n = tokens.len().min(room);
        self.running[index].draft(&tokens[..n]);
        n
    }

    /// Pages that the running sequences do not have yet but will need.
    fn n_promised(&self) -> usize {
        self.running.iter().map(|s| self.reserve(s).saturating_sub(s.pages.len())).sum()
    }

    /// Puts a sequence, younger than all others, into the queue.
    pub fn add(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    /// The runs of the next pass, `budget` tokens at most. Nothing has happened to the sequences
    /// until it is absorbed, so a pass that fails is planned again.
    pub fn plan(&mut self, budget: usize) -> Step {
        self.admit();
        let shares = self.shares(budget);
        let mut step = Step::default();
        for (index, &share) in shares.iter().enumerate() {
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
            match outcome {
                Outcome::Continue => {}
                Outcome::Append(token) => sequence.tokens.push(token),
                Outcome::Done => self.remove(id, true),
                Outcome::Failed => self.remove(id, false),
            }
        }
    }

    /// Removes a sequence from the running ones or from the queue. With `keep` what it has computed
    /// stays for later sequences.
    pub fn remove(&mut self, id: u64, keep: bool) {
        if let Some(index) = self.index(id) {
            let mut sequence = self.running.remove(index);
            self.free(&mut sequence, keep);
        } else {
            self.waiting.retain(|sequence| sequence.id != id);
        }
    }

    /// Moves sequences from the queue to the running ones.
    fn admit(&mut self) {
        while self.running.len() < self.limits.max_sequences.min(self.states.capacity()) {
            let Some(next) = self.waiting.front() else {
                return;
            };
            let found = if next.is_kept() {
                self.prefixes.find(&next.tokens, &self.pager)
            } else {
                Match::default()
            };
            let needed = self.reserve(next) - self.prefixes.held_pages(found, &self.pager);
            if self.pager.n_held() + self.n_promised() + needed > self.pager.n_pages() {
                return;
            }
            let Some(mut sequence) = self.waiting.pop_front() else {
                return;
            };
            (sequence.pages, sequence.state) =
                self.prefixes.take(found, &mut self.pager, &mut self.states);
            sequence.computed = found.positions;
            sequence.cached = found.positions;
            self.running.push(sequence);
        }
    }

    /// Pages for all of a sequence's tokens and the next one.
    fn reserve(&self, sequence: &Sequence) -> usize {
        let next = sequence.tokens.len() + 1;
        self.pager.pages_for(next.min(self.limits.n_ctx))
    }

    /// How many tokens of each running sequence to compute.
    fn shares(&self, budget: usize) -> Vec<usize> {
        let is_evaluation = |s: &Sequence| s.wants == Wants::All;
        let n_evaluations = self.running.iter().filter(|s| is_evaluation(s)).count();
        let rows = (self.limits.max_rows / n_evaluations.max(1)).max(1);
        let mut demands: Vec<(usize, usize)> = self
            .running
            .iter()
            .map(|s| match is_evaluation(s) {
                true => s.remaining().min(rows),
                false => s.remaining(),
            })
            .enumerate()
            .map(|(index, demand)| (demand, index))
            .collect();
        // The modest first: what they leave of their part is for those after them.
        demands.sort_unstable();
        let mut shares = vec![0; demands.len()];
        let mut left = budget;
        for (nth, &(demand, index)) in demands.iter().enumerate() {
            shares[index] = demand.min(left / (demands.len() - nth));
            left -= shares[index];
        }
        shares
    }

    /// Gives a running sequence the pages for its next `n` tokens; false if there are too few.
    fn grow(&mut self, index: usize, n: usize) -> bool {
        let sequence = &mut self.running[index];
        let needed = self.pager.pages_for(sequence.computed + n);
        while sequence.pages.len() < needed {
            let page = self.pager.allocate().or_else(|| {
                self.prefixes.evict(&mut self.pager, &mut self.states);
                self.pager.allocate()
            });
            match page {
                Some(page) => sequence.pages.push(page),
                None => return false,
            }
        }
        true
    }

    /// Gives a running sequence the slot for its next state; false if there is none.
    fn begin(&mut self, index: usize) -> bool {
        let sequence = &mut self.running[index];
        if self.states.is_used() && sequence.next_state.is_none() {
            sequence.next_state = self.states.allocate();
            while sequence.next_state.is_none()
                && self.prefixes.evict_state(&mut self.pager, &mut self.states)
            {
                sequence.next_state = self.states.allocate();
            }
        }
        !self.states.is_used() || sequence.next_state.is_some()
    }

    /// Puts the youngest running sequence back to the head of the queue.
    fn preempt(&mut self) {
        if let Some(mut sequence) = self.running.pop() {
            sequence.discard_draft();
            self.free(&mut sequence, true);
            self.waiting.push_front(sequence);
        }
    }

    fn free(&mut self, sequence: &mut Sequence, keep: bool) {
        let pages = std::mem::take(&mut sequence.pages);
        let computed = std::mem::take(&mut sequence.computed);
        let state = sequence.state.take();
        self.states.release(sequence.next_state.take());
        if keep && sequence.is_kept() && computed > 0 {
            let tokens = &sequence.tokens[..computed];
            self.prefixes.keep(tokens, (pages, state), &mut self.pager, &mut self.states);
        } else {
            self.states.release(state);
            for page in pages {
                self.pager.release(page);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(n_pages: usize, max_sequences: usize) -> Scheduler {
        let limits = Limits { n_ctx: n_pages * 4, max_sequences, max_rows: 6 };
        Scheduler::new(limits, n_pages, 4, 0)
    }

    /// Prompts of these lengths, all different.
    fn add(scheduler: &mut Scheduler, lengths: &[usize]) {
        for (id, &n) in lengths.iter().enumerate() {
            let tokens = (0..n).map(|i| (100 * id + i) as u32).collect();
            scheduler.add(Sequence::new(id as u64, tokens, Wants::Last));
        }
    }

    /// A pass that gives token 7 to each sequence that is complete.
    fn pass(scheduler: &mut Scheduler, budget: usize) -> Vec<(u64, usize)> {
        let step = scheduler.plan(budget);
        let outcome = |run: &Run| match run.wants {
            Wants::Nothing => Outcome::Continue,
            _ => Outcome::Append(7),
        };
        let outcomes: Vec<Outcome> = step.runs.iter().map(outcome).collect();
        scheduler.absorb(&step, &outcomes);
        let lengths = step.runs.iter().map(|run| run.tokens.len());
        step.ids.iter().copied().zip(lengths).collect()
    }

    #[test]
    fn the_budget_is_shared_evenly_and_spent() {
        let mut scheduler = scheduler(100, 4);
        add(&mut scheduler, &[1, 40, 5, 40]);
        assert_eq!(pass(&mut scheduler, 20), [(0, 1), (1, 7), (2, 5), (3, 7)]);
        // The complete ones need a token each.
        assert_eq!(pass(&mut scheduler, 20), [(0, 1), (1, 9), (2, 1), (3, 9)]);
    }

    #[test]
    fn a_run_wants_logits_only_at_the_end() {
        let mut scheduler = scheduler(100, 1);
        add(&mut scheduler, &[10]);
        let step = scheduler.plan(6);
        assert_eq!((step.runs[0].start, step.runs[0].wants), (0, Wants::Nothing));
        scheduler.absorb(&step, &[Outcome::Continue]);
        let step = scheduler.plan(6);
        assert_eq!((step.runs[0].start, step.runs[0].wants), (6, Wants::Last));
        let again = scheduler.plan(6);
        assert_eq!(
            again.runs[0].tokens, step.runs[0].tokens,
            "a pass that failed is planned again"
        );
        assert_eq!(again.runs[0].pages, step.runs[0].pages);
    }

    #[test]
    fn the_queue_waits_for_its_head() {
        let mut scheduler = scheduler(10, 4);
        // With their next tokens: 6 pages, 6 pages, 1 page.
        add(&mut scheduler, &[20, 20, 1]);
        assert_eq!(pass(&mut scheduler, 100), [(0, 20)]);
        assert_eq!(scheduler.n_waiting(), 2, "the small one does not overtake");
        scheduler.remove(0, false);
        assert_eq!(pass(&mut scheduler, 100), [(1, 20), (2, 1)]);
    }

    #[test]
    fn pages_promised_to_a_prompt_are_not_given_twice() {
        let mut scheduler = scheduler(10, 4);
        add(&mut scheduler, &[20, 20]);
        // Only the first four tokens have a page, the others will need theirs.
        assert_eq!(pass(&mut scheduler, 4), [(0, 4)]);
        assert_eq!(pass(&mut scheduler, 4), [(0, 4)]);
    }

    #[test]
    fn shared_pages_count_once() {
        let mut scheduler = scheduler(12, 4);
        let prompt = |id: u32| [vec![1; 32], vec![100 + id; 3]].concat();
        for id in 0..4 {
            scheduler.add(Sequence::new(id, prompt(id as u32), Wants::Last));
            if id == 0 {
                pass(&mut scheduler, 100);
                scheduler.remove(0, true);
            }
        }
        // Eight pages in common and one each.
        assert_eq!(pass(&mut scheduler, 100), [(1, 3), (2, 3), (3, 3)]);
        assert_eq!((scheduler.pager().n_held(), scheduler.pager().n_kept()), (11, 1));
    }

    #[test]
    fn the_youngest_gives_way_and_comes_back() {
        let mut scheduler = scheduler(5, 2);
        add(&mut scheduler, &[7, 7]);
        assert_eq!(pass(&mut scheduler, 50), [(0, 7), (1, 7)]);
        assert_eq!(pass(&mut scheduler, 50), [(0, 1), (1, 1)]);
        // Both need a third page.
        assert_eq!(pass(&mut scheduler, 50), [(0, 1)]);
        assert_eq!((scheduler.n_running(), scheduler.n_waiting()), (1, 1));
        scheduler.remove(0, false);
        // What was not taken from it meanwhile is there still.
        assert_eq!(pass(&mut scheduler, 50), [(1, 1)]);
        assert_eq!(scheduler.running(1).map(|s| s.tokens.len()), Some(10));
    }

    #[test]
    fn evaluations_share_the_rows() {
        let mut scheduler = scheduler(100, 4);
        for id in 0..2 {
            scheduler.add(Sequence::new(id, vec![1; 10], Wants::All));
        }
        let step = scheduler.plan(50);
        let rows: Vec<usize> = step.runs.iter().map(Run::n_rows).collect();
        assert_eq!(rows, [3, 3]);
    }

    #[test]
    fn evaluations_neither_take_nor_leave_prefixes() {
        let mut scheduler = scheduler(10, 1);
        let sequences = [(1, Wants::Last), (1, Wants::All), (2, Wants::All), (2, Wants::Last)];
        for (id, (token, wants)) in (0..).zip(sequences) {
            scheduler.add(Sequence::new(id, vec![token; 6], wants));
            let step = scheduler.plan(6);
            assert_eq!(step.runs[0].start, 0, "sequence {id}");
            scheduler.absorb(&step, &[Outcome::Done]);
        }
        let pager = scheduler.pager();
        assert_eq!((pager.n_held(), pager.n_kept()), (0, 4));
    }

    #[test]
    fn failed_sequences_leave_nothing() {
        let mut scheduler = scheduler(10, 1);
        add(&mut scheduler, &[6]);
        let step = scheduler.plan(50);
        scheduler.absorb(&step, &[Outcome::Failed]);
        assert_eq!((scheduler.pager().n_held(), scheduler.pager().n_kept()), (0, 0));
    }
}
