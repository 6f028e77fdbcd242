//! Pages of finished sequences, kept for requests that begin with the same tokens.
//!
//! Whole pages of the longest common prefix are shared by counting. A partly filled page cannot be
//! shared, since its users would write different continuations into it; it changes hands when it is
//! the last page of what is kept and nobody else uses it. When pages run out, the prefix that was
//! used least recently loses pages from its end.
//!
//! In models with states there is but the state at the end of what is kept. So only all of it is of use,
//! and an entry that loses its end is forgotten.

use std::cmp::Reverse;

use farthing_models::{Page, Slot};

use crate::pager::Pager;
use crate::states::Pool;

/// What is kept of finished sequences.
#[derive(Default)]
pub(crate) struct Prefixes {
    entries: Vec<Entry>,
    clock: u64,
}

struct Entry {
    tokens: Vec<u32>,
    /// As many as the tokens take, in order.
    pages: Vec<Page>,
    /// The state after all tokens, in models with states.
    state: Option<Slot>,
    /// The clock when it was kept or last taken from.
    used: u64,
}

/// What a new sequence can take over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Match {
    entry: usize,
    /// Whole pages to share.
    whole: usize,
    /// Positions covered: those of the whole pages, and some of the last page if it changes hands.
    pub positions: usize,
}

impl Prefixes {
    /// The best match for a sequence of these tokens. The last one is never covered, since its
    /// logits are wanted.
    pub fn find(&self, tokens: &[u32], pager: &Pager) -> Match {
        let wanted = &tokens[..tokens.len().saturating_sub(1)];
        let candidates = self.entries.iter().enumerate().map(|(index, entry)| {
            let common = common_prefix(&entry.tokens, wanted);
            let whole = common / pager.page_len();
            let is_last = whole + 1 == entry.pages.len();
            let takes_last = is_last && pager.is_exclusive_to_prefix(entry.pages[whole]);
            let mut positions = if takes_last { common } else { whole * pager.page_len() };
            if entry.state.is_some() && positions < entry.tokens.len() {
                positions = 0;
            }
            let found = Match { entry: index, whole, positions };
            (positions, entry.used, found)
        });
        candidates
            .max_by_key(|&(positions, used, _)| (positions, used))
            .map_or(Match::default(), |(_, _, found)| found)
    }

    /// Pages of a match that sequences hold already.
    pub fn held_pages(&self, found: Match, pager: &Pager) -> usize {
        self.shared_pages(found).iter().filter(|&&page| pager.is_held(page)).count()
    }

    fn shared_pages(&self, found: Match) -> &[Page] {
        match found.positions {
            0 => &[],
            _ => &self.entries[found.entry].pages[..found.whole],
        }
    }

    /// Gives a match's pages and state to a sequence, which holds them from now on.
    pub fn take(
        &mut self,
        found: Match,
        pager: &mut Pager,
        states: &mut Pool,
    ) -> (Vec<Page>, Option<Slot>) {
        let mut pages = self.shared_pages(found).to_vec();
        for &page in &pages {
            pager.hold(page);
        }
        if found.positions == 0 {
            return (pages, None);
        }
        self.clock += 1;
        let entry = &mut self.entries[found.entry];
        entry.used = self.clock;
        let state = entry.state;
        if let Some(slot) = state {
            states.hold(slot);
        }
        if found.positions > found.whole * pager.page_len() {
            let last = entry.pages[found.whole];
            pager.hold(last);
            pages.push(last);
            self.pop_page(found.entry, pager, states);
        }
        (pages, state)
    }

    /// Keeps a sequence's computed tokens and takes over its hold on the state and the pages, which may be
    /// more than the tokens need.
    pub fn keep(
        &mut self,
        tokens: &[u32],
        (pages, state): (Vec<Page>, Option<Slot>),
        pager: &mut Pager,
        states: &mut Pool,
    ) {
        let n_pages = pager.pages_for(tokens.len());
        for &page in &pages[..n_pages] {
            pager.keep(page);
        }
        for &page in &pages {
            pager.release(page);
        }
        let mut pages = pages;
        pages.truncate(n_pages);
        self.clock += 1;
        let used = self.clock;
        // With a state, an entry is of use at its end alone.
        let serves = |long: &[u32], short: &[u32]| {
            long.starts_with(short) && (state.is_none() || long.len() == short.len())
        };
        if let Some(entry) = self.entries.iter_mut().find(|e| serves(&e.tokens, tokens)) {
            entry.used = used;
            forget_all(&pages, pager);
            states.release(state);
            return;
        }
        self.entries.retain(|entry| {
            let superseded = serves(tokens, &entry.tokens);
            if superseded {
                forget_all(&entry.pages, pager);
            }
            !superseded
        });
        self.entries.push(Entry { tokens: tokens.to_vec(), pages, state, used });
    }

    /// Frees a page that no sequence holds; false if there is none.
    pub fn evict(&mut self, pager: &mut Pager, states: &mut Pool) -> bool {
        loop {
            // Sequences hold beginnings: with the last page all others of the entry are held.
            let oldest = (0..self.entries.len())
                .filter(|&i| {
                    let last = self.entries[i].pages.last();
                    last.is_some_and(|&page| !pager.is_held(page))
                })
                .max_by_key(|&i| Reverse(self.entries[i].used));
            match oldest {
                None => return false,
                Some(index) if self.pop_page(index, pager, states) => return true,
                // Another prefix shares the page; it comes next.
                Some(_) => {}
            }
        }
    }

    /// Forgets the state that was used least recently, and what is kept with it; false if there is none.
    pub fn evict_state(&mut self, pager: &mut Pager, states: &mut Pool) -> bool {
        let with_state = (0..self.entries.len()).filter(|&i| self.entries[i].state.is_some());
        match with_state.min_by_key(|&i| self.entries[i].used) {
            Some(index) => {
                self.forget(index, pager, states);
                true
            }
            None => false,
        }
    }

    /// Forgets an entry; true if any of its pages are free now.
    fn forget(&mut self, index: usize, pager: &mut Pager, states: &mut Pool) -> bool {
        let entry = self.entries.swap_remove(index);
        states.release(entry.state);
        forget_all(&entry.pages, pager)
    }

    /// Takes the last page off an entry; true if a page is free now.
    fn pop_page(&mut self, index: usize, pager: &mut Pager, states: &mut Pool) -> bool {
        if self.entries[index].state.is_some() {
            return self.forget(index, pager, states);
        }
        let entry = &mut self.entries[index];
        let freed = entry.pages.pop().is_some_and(|page| pager.forget(page));
        entry.tokens.truncate(entry.pages.len() * pager.page_len());
        if entry.pages.is_empty() {
            self.entries.swap_remove(index);
        }
        freed
    }
}

/// True if any of the pages are free now.
fn forget_all(pages: &[Page], pager: &mut Pager) -> bool {
    pages.iter().fold(false, |freed, &page| pager.forget(page) | freed)
}

fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(prefixes: &mut Prefixes, pager: &mut Pager, tokens: &[u32]) -> Vec<Page> {
        let pages: Vec<Page> = (0..pager.pages_for(tokens.len()))
            .map(|_| pager.allocate().expect("a free page"))
            .collect();
        prefixes.keep(tokens, (pages.clone(), None), pager, &mut Pool::new(0));
        pages
    }

    #[test]
    fn whole_pages_are_shared_and_the_last_token_is_left() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(8, 4));
        let kept = keep(&mut prefixes, &mut pager, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);

        let found = prefixes.find(&[1, 2, 3, 4, 5, 0], &pager);
        assert_eq!(found.positions, 4, "a page that goes on otherwise is not shared");
        assert_eq!(prefixes.take(found, &mut pager, &mut Pool::new(0)).0, kept[..1]);

        let found = prefixes.find(&[1, 2, 3, 4], &pager);
        assert_eq!(found.positions, 0, "the fourth token is wanted itself");
        assert_eq!(prefixes.find(&[2, 2, 3, 4, 5], &pager).positions, 0);
    }

    #[test]
    fn the_last_page_changes_hands_once() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(8, 4));
        let kept = keep(&mut prefixes, &mut pager, &[1, 2, 3, 4, 5, 6]);
        let longer = [1, 2, 3, 4, 5, 6, 7, 8];
        let found = prefixes.find(&longer, &pager);
        assert_eq!(found.positions, 6);
        assert_eq!(prefixes.take(found, &mut pager, &mut Pool::new(0)).0, kept);
        assert_eq!(prefixes.find(&longer, &pager).positions, 4);
        assert_eq!(pager.n_kept(), 0);
        assert_eq!(pager.n_held(), 2);
    }

    #[test]
    fn pages_without_computed_tokens_are_freed() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(3, 4));
        let pages = (0..3).filter_map(|_| pager.allocate()).collect();
        prefixes.keep(&[1, 2, 3, 4, 5], (pages, None), &mut pager, &mut Pool::new(0));
        assert_eq!((pager.n_held(), pager.n_kept()), (0, 2));
        assert!(pager.allocate().is_some());
    }

    #[test]
    fn a_longer_prefix_replaces_a_shorter_one() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(8, 4));
        keep(&mut prefixes, &mut pager, &[1, 2, 3, 4, 5]);
        keep(&mut prefixes, &mut pager, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!((prefixes.entries.len(), pager.n_kept()), (1, 3));
        keep(&mut prefixes, &mut pager, &[1, 2, 3]);
        assert_eq!((prefixes.entries.len(), pager.n_kept()), (1, 3));
    }

    #[test]
    fn the_least_recently_used_goes_first_from_its_end() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(4, 4));
        let old = keep(&mut prefixes, &mut pager, &[1; 8]);
        keep(&mut prefixes, &mut pager, &[2; 8]);
        assert!(prefixes.evict(&mut pager, &mut Pool::new(0)));
        assert_eq!(pager.allocate(), Some(old[1]));
        assert_eq!(prefixes.find(&[1; 9], &pager).positions, 4);
        assert_eq!(prefixes.find(&[2; 9], &pager).positions, 8);

        let found = prefixes.find(&[1; 9], &pager);
        prefixes.take(found, &mut pager, &mut Pool::new(0));
        assert!(
            prefixes.evict(&mut pager, &mut Pool::new(0))
                && prefixes.evict(&mut pager, &mut Pool::new(0))
        );
        assert!(!prefixes.evict(&mut pager, &mut Pool::new(0)), "a sequence holds the rest");
    }

    #[test]
    fn a_page_shared_by_two_prefixes_is_freed_with_the_second() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(3, 4));
        keep(&mut prefixes, &mut pager, &[1, 1, 1, 1, 2, 2]);
        let found = prefixes.find(&[1, 1, 1, 1, 3, 3], &pager);
        let mut pages = prefixes.take(found, &mut pager, &mut Pool::new(0)).0;
        pages.push(pager.allocate().expect("a free page"));
        prefixes.keep(&[1, 1, 1, 1, 3, 3], (pages, None), &mut pager, &mut Pool::new(0));
        assert_eq!(pager.n_kept(), 3);
        for n_kept in [2, 1, 0] {
            assert!(prefixes.evict(&mut pager, &mut Pool::new(0)));
            assert_eq!(pager.n_kept(), n_kept);
        }
        assert!(prefixes.entries.is_empty());
    }

    #[test]
    fn a_state_is_of_use_at_its_end_alone() {
        let (mut prefixes, mut pager, mut pool) =
            (Prefixes::default(), Pager::new(8, 4), Pool::new(4));
        let keep = |prefixes: &mut Prefixes, pager: &mut Pager, pool: &mut Pool, n: usize| {
            let pages = (0..pager.pages_for(n)).filter_map(|_| pager.allocate()).collect();
            let state = pool.allocate();
            prefixes.keep(&vec![1; n], (pages, state), pager, pool);
            state
        };
        let long = keep(&mut prefixes, &mut pager, &mut pool, 8);
        let short = keep(&mut prefixes, &mut pager, &mut pool, 6);
        assert_eq!(prefixes.find(&[1; 8], &pager).positions, 6);
        assert_eq!(prefixes.find(&[1; 6], &pager).positions, 0);
        assert_eq!(prefixes.find(&[1, 1, 1, 1, 1, 2, 2], &pager).positions, 0);
        let found = prefixes.find(&[1; 9], &pager);
        assert_eq!(found.positions, 8);
        // Its pages are whole: it stays for others.
        assert_eq!(prefixes.take(found, &mut pager, &mut pool).1, long);
        assert_eq!(prefixes.find(&[1; 9], &pager).positions, 8);
        // The other's last page changes hands, and it is gone.
        let found = prefixes.find(&[1; 7], &pager);
        let (pages, state) = prefixes.take(found, &mut pager, &mut pool);
        assert_eq!((pages.len(), state), (2, short));
        assert_eq!(prefixes.find(&[1; 7], &pager).positions, 0);
        assert!(prefixes.evict_state(&mut pager, &mut pool));
        assert!(!prefixes.evict_state(&mut pager, &mut pool));
        assert_eq!((pager.n_held(), pager.n_kept()), (4, 0));
        pool.release(long);
        pool.release(short);
        assert_eq!((0..5).filter_map(|_| pool.allocate()).count(), 4);
    }
}
