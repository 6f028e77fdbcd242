//! What sequences take over from others, and what they leave for them.

use farthing_models::{Page, Slot};

use super::{Move, Scheduler, insert};
use crate::prefix::{Match, Place, common_prefix};
use crate::sequence::Sequence;

impl Scheduler {
    /// What a waiting sequence can take over from what is kept and from running ones.
    pub(super) fn find(&self, next: &Sequence) -> Match {
        let Some(namespace) = next.sharing else {
            return Match::none(0);
        };
        let mut found = self.prefixes.find(namespace, next.sharable(), &self.pager, &self.states);
        if self.states.is_used() {
            return found;
        }
        // The last page of a running sequence is not in the tree yet.
        for other in self.running.iter().filter(|s| s.sharing == next.sharing) {
            let common = common_prefix(&other.tokens[..other.computed], next.sharable());
            if common > found.positions && common / self.pager.page_len() == found.whole {
                found.copy_from(other.pages[found.whole], common);
            }
        }
        found
    }

    /// Whether a running sequence is about to compute more of a waiting one's tokens than it has found, and
    /// so much more that it is worth the wait: a page, or as long as its own computing will take.
    pub(super) fn is_being_computed(&self, next: &Sequence, found: &Match) -> bool {
        next.sharing.is_some()
            && self.running.iter().filter(|s| s.sharing == next.sharing).any(|other| {
                let certain = &other.tokens[..other.n_certain()];
                let mut common = common_prefix(certain, next.sharable());
                if self.states.is_used() {
                    common = other.checkpoint_before(common, self.pager.page_len());
                }
                let gain = common.saturating_sub(found.positions);
                other.computed < common
                    && (gain >= self.pager.page_len() || 2 * gain >= other.remaining())
            })
    }

    /// Adds a sequence to the running ones, with what was found for it.
    pub(super) fn run(&mut self, mut sequence: Sequence, found: &Match) {
        (sequence.pages, sequence.state) =
            self.prefixes.take(found, &mut self.pager, &mut self.states);
        sequence.n_shared = found.whole;
        sequence.place = found.place;
        sequence.computed = found.whole * self.pager.page_len();
        if let Some(from) = found.tail
            && let Some(to) = self.allocate()
        {
            // If the page itself had to be given up for the copy, it is here already.
            self.moves.extend((from != to).then_some(Move::Copy { from, to }));
            sequence.pages.push(to);
            sequence.computed = found.positions;
        }
        sequence.cached = sequence.computed;
        insert(&mut self.running, sequence);
    }

    /// Puts what a running sequence has computed into the tree, as far as its pages are full.
    pub(super) fn share(&mut self, index: usize) {
        let sequence = &mut self.running[index];
        let page_len = self.pager.page_len();
        if sequence.sharing.is_none() {
            return;
        }
        while (sequence.n_shared + 1) * page_len <= sequence.computed {
            let tokens = &sequence.tokens[sequence.n_shared * page_len..][..page_len];
            let page = &mut sequence.pages[sequence.n_shared];
            sequence.place = self.prefixes.add(sequence.place, tokens, *page, &mut self.pager);
            sequence.n_shared += 1;
            // Another one was there before.
            if let Some(theirs) = self.prefixes.page(sequence.place).filter(|theirs| theirs != page)
            {
                self.pager.hold(theirs);
                self.pager.release(*page);
                *page = theirs;
            }
        }
        let computed = sequence.computed;
        if let Some(slot) = sequence.state
            && sequence.checkpoint_before(computed, page_len) == computed
        {
            self.prefixes.mark(sequence.place, page_len, slot, &mut self.states);
        }
    }

    /// Takes everything from a sequence; with `keep` what it has computed stays.
    pub(super) fn free(&mut self, sequence: &mut Sequence, keep: bool) {
        let pages = std::mem::take(&mut sequence.pages);
        let computed = std::mem::take(&mut sequence.computed);
        let state = sequence.state.take();
        self.states.release(sequence.next_state.take());
        let place = std::mem::replace(&mut sequence.place, Place::Root(0));
        let n_shared = std::mem::take(&mut sequence.n_shared);
        if keep && sequence.sharing.is_some() {
            self.keep(place, &sequence.tokens[..computed], n_shared, &pages, state);
        } else {
            // Those that it took from others were good.
            let own = n_shared - (sequence.cached / self.pager.page_len()).min(n_shared);
            let mut last = Some(place);
            for _ in 0..own {
                last =
                    last.and_then(|p| self.prefixes.forget(p, &mut self.pager, &mut self.states));
            }
        }
        self.states.release(state);
        for page in pages {
            self.pager.release(page);
        }
        while self.pager.n_kept() > self.limits.kept_pages {
            self.evict();
        }
    }

    /// Keeps a sequence's last page too, and its state.
    fn keep(
        &mut self,
        mut place: Place,
        computed: &[u32],
        n_shared: usize,
        pages: &[Page],
        state: Option<Slot>,
    ) {
        self.prefixes.touch_path(place);
        let rest = &computed[n_shared * self.pager.page_len()..];
        if let Some(&page) = pages.get(n_shared).filter(|_| !rest.is_empty()) {
            place = self.prefixes.add(place, rest, page, &mut self.pager);
        }
        let len = computed.len() - n_shared * self.pager.page_len();
        if let Some(slot) = state {
            let len = if len == 0 { self.pager.page_len() } else { len };
            self.prefixes.mark(place, len, slot, &mut self.states);
        }
    }
}
