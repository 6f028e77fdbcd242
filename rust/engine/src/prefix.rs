//! Pages of finished sequences, kept for requests that begin with the same tokens.
//!
//! Whole pages of the longest common prefix are shared by counting. A partly filled page cannot be
//! shared, since its users would write different continuations into it; it changes hands when it is
//! the last page of what is kept and nobody else uses it. When pages run out, the prefix that was
//! used least recently loses pages from its end.

use std::cmp::Reverse;

use farthing_models::Page;

use crate::pager::Pager;

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
            let positions = if takes_last { common } else { whole * pager.page_len() };
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

    /// Gives a match's pages to a sequence, which holds them from now on.
    pub fn take(&mut self, found: Match, pager: &mut Pager) -> Vec<Page> {
        let mut pages = self.shared_pages(found).to_vec();
        for &page in &pages {
            pager.hold(page);
        }
        if found.positions == 0 {
            return pages;
        }
        self.clock += 1;
        let entry = &mut self.entries[found.entry];
        entry.used = self.clock;
        if found.positions > found.whole * pager.page_len() {
            let last = entry.pages[found.whole];
            pager.hold(last);
            pages.push(last);
            self.pop_page(found.entry, pager);
        }
        pages
    }

    /// Keeps a sequence's computed tokens and takes over its hold on the pages, which may be more
    /// than the tokens need.
    pub fn keep(&mut self, tokens: &[u32], pages: Vec<Page>, pager: &mut Pager) {
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
        if let Some(entry) = self.entries.iter_mut().find(|e| e.tokens.starts_with(tokens)) {
            entry.used = used;
            forget_all(&pages, pager);
            return;
        }
        self.entries.retain(|entry| {
            let superseded = tokens.starts_with(&entry.tokens);
            if superseded {
                forget_all(&entry.pages, pager);
            }
            !superseded
        });
        self.entries.push(Entry { tokens: tokens.to_vec(), pages, used });
    }

    /// Frees a page that no sequence holds; false if there is none.
    pub fn evict(&mut self, pager: &mut Pager) -> bool {
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
                Some(index) if self.pop_page(index, pager) => return true,
                // Another prefix shares the page; it comes next.
                Some(_) => {}
            }
        }
    }

    /// Takes the last page off an entry; true if it is free now.
    fn pop_page(&mut self, index: usize, pager: &mut Pager) -> bool {
        let entry = &mut self.entries[index];
        let freed = entry.pages.pop().is_some_and(|page| pager.forget(page));
        entry.tokens.truncate(entry.pages.len() * pager.page_len());
        if entry.pages.is_empty() {
            self.entries.swap_remove(index);
        }
        freed
    }
}

fn forget_all(pages: &[Page], pager: &mut Pager) {
    for &page in pages {
        pager.forget(page);
    }
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
        prefixes.keep(tokens, pages.clone(), pager);
        pages
    }

    #[test]
    fn whole_pages_are_shared_and_the_last_token_is_left() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(8, 4));
        let kept = keep(&mut prefixes, &mut pager, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);

        let found = prefixes.find(&[1, 2, 3, 4, 5, 0], &pager);
        assert_eq!(found.positions, 4, "a page that goes on otherwise is not shared");
        assert_eq!(prefixes.take(found, &mut pager), kept[..1]);

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
        assert_eq!(prefixes.take(found, &mut pager), kept);
        assert_eq!(prefixes.find(&longer, &pager).positions, 4);
        assert_eq!(pager.n_kept(), 0);
        assert_eq!(pager.n_held(), 2);
    }

    #[test]
    fn pages_without_computed_tokens_are_freed() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(3, 4));
        let pages = (0..3).filter_map(|_| pager.allocate()).collect();
        prefixes.keep(&[1, 2, 3, 4, 5], pages, &mut pager);
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
        assert!(prefixes.evict(&mut pager));
        assert_eq!(pager.allocate(), Some(old[1]));
        assert_eq!(prefixes.find(&[1; 9], &pager).positions, 4);
        assert_eq!(prefixes.find(&[2; 9], &pager).positions, 8);

        let found = prefixes.find(&[1; 9], &pager);
        prefixes.take(found, &mut pager);
        assert!(prefixes.evict(&mut pager) && prefixes.evict(&mut pager));
        assert!(!prefixes.evict(&mut pager), "a sequence holds the rest");
    }

    #[test]
    fn a_page_shared_by_two_prefixes_is_freed_with_the_second() {
        let (mut prefixes, mut pager) = (Prefixes::default(), Pager::new(3, 4));
        keep(&mut prefixes, &mut pager, &[1, 1, 1, 1, 2, 2]);
        let found = prefixes.find(&[1, 1, 1, 1, 3, 3], &pager);
        let mut pages = prefixes.take(found, &mut pager);
        pages.push(pager.allocate().expect("a free page"));
        prefixes.keep(&[1, 1, 1, 1, 3, 3], pages, &mut pager);
        assert_eq!(pager.n_kept(), 3);
        for n_kept in [2, 1, 0] {
            assert!(prefixes.evict(&mut pager));
            assert_eq!(pager.n_kept(), n_kept);
        }
        assert!(prefixes.entries.is_empty());
    }
}
