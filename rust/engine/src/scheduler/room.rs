//! Pages and slots for the running sequences.

use farthing_models::{Page, Slot};

use super::{Move, Scheduler, insert};
use crate::sequence::Sequence;

impl Scheduler {
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
    pub(super) fn n_promised(&self) -> usize {
        self.running.iter().map(|s| self.reserve(s).saturating_sub(s.pages.len())).sum()
    }

    /// Pages for all of a sequence's tokens and the next one.
    pub(super) fn reserve(&self, sequence: &Sequence) -> usize {
        let next = sequence.tokens.len() + 1;
        self.pager.pages_for(next.min(self.limits.n_ctx))
    }

    /// Gives a running sequence the pages for its next `n` tokens; false if there are too few.
    pub(super) fn grow(&mut self, index: usize, n: usize) -> bool {
        let sequence = &self.running[index];
        let needed = self.pager.pages_for(sequence.computed + n);
        let missing = needed.saturating_sub(sequence.pages.len());
        for _ in 0..missing {
            match self.allocate() {
                Some(page) => self.running[index].pages.push(page),
                None => return false,
            }
        }
        true
    }

    /// Gives a running sequence the slot for its next state; false if there is none.
    pub(super) fn begin(&mut self, index: usize) -> bool {
        if !self.states.is_used() {
            return true;
        }
        if self.running[index].next_state.is_none() {
            self.running[index].next_state = self.allocate_state();
        }
        self.running[index].next_state.is_some()
    }

    /// A free page, or one that was kept.
    pub(super) fn allocate(&mut self) -> Option<Page> {
        self.pager.allocate().or_else(|| {
            self.evict();
            self.pager.allocate()
        })
    }

    /// A free slot, or one that was kept.
    pub(super) fn allocate_state(&mut self) -> Option<Slot> {
        self.states.allocate().or_else(|| {
            self.prefixes.evict_state(&mut self.states);
            self.moves.extend(self.prefixes.take_leaving().into_iter().map(Move::Save));
            self.states.allocate()
        })
    }

    /// Frees a page that was kept, if there is one.
    pub(super) fn evict(&mut self) {
        self.prefixes.evict(&mut self.pager, &mut self.states);
        self.moves.extend(self.prefixes.take_leaving().into_iter().map(Move::Save));
    }

    /// Makes room: what is held for a waiting sequence is given up, or the last running one, the youngest of the
    /// lowest priority, goes back into the queue.
    pub(super) fn preempt(&mut self) {
        if self.stop_loading_any() {
            return;
        }
        if let Some(mut sequence) = self.running.pop() {
            sequence.discard_draft();
            self.free(&mut sequence, true);
            insert(&mut self.waiting, sequence);
        }
    }
}
