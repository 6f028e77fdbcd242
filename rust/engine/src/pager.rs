//! The pages of the KV cache: which are free, and who uses the others.

use farthing_models::Page;

/// Free pages, and who uses each other page: any number of sequences, and what is kept for reuse. Pages
/// that are only kept can be had back at any time.
pub(crate) struct Pager {
    page_len: usize,
    free: Vec<Page>,
    /// By page.
    uses: Vec<Uses>,
    /// Pages that sequences use.
    n_held: usize,
}

#[derive(Clone, Copy, Default)]
struct Uses {
    sequences: u32,
    kept: bool,
}

impl Pager {
    pub fn new(n_pages: usize, page_len: usize) -> Pager {
        // Reversed, so that the first pages are given out first.
        let free = (0..n_pages).rev().map(|page| page as Page).collect();
        Pager { page_len, free, uses: vec![Uses::default(); n_pages], n_held: 0 }
    }

    pub fn n_pages(&self) -> usize {
        self.uses.len()
    }

    pub fn page_len(&self) -> usize {
        self.page_len
    }

    /// Pages that so many positions take.
    pub fn pages_for(&self, positions: usize) -> usize {
        positions.div_ceil(self.page_len)
    }

    /// Pages that sequences use.
    pub fn n_held(&self) -> usize {
        self.n_held
    }

    /// Pages that are only kept.
    pub fn n_kept(&self) -> usize {
        self.n_pages() - self.n_held - self.free.len()
    }

    /// A free page, now held by one sequence.
    pub fn allocate(&mut self) -> Option<Page> {
        let page = self.free.pop()?;
        self.hold(page);
        Some(page)
    }

    /// One more sequence uses the page.
    pub fn hold(&mut self, page: Page) {
        let uses = &mut self.uses[page as usize];
        uses.sequences += 1;
        self.n_held += usize::from(uses.sequences == 1);
    }

    /// One sequence less uses the page.
    pub fn release(&mut self, page: Page) {
        let uses = &mut self.uses[page as usize];
        uses.sequences -= 1;
        self.n_held -= usize::from(uses.sequences == 0);
        self.free_if_unused(page);
    }

    /// The page is kept for reuse.
    pub fn keep(&mut self, page: Page) {
        self.uses[page as usize].kept = true;
    }

    /// The page is not kept any more.
    pub fn forget(&mut self, page: Page) {
        self.uses[page as usize].kept = false;
        self.free_if_unused(page);
    }

    pub fn is_held(&self, page: Page) -> bool {
        self.holders(page) > 0
    }

    /// Sequences that use the page.
    pub fn holders(&self, page: Page) -> u32 {
        self.uses[page as usize].sequences
    }

    fn free_if_unused(&mut self, page: Page) {
        let uses = self.uses[page as usize];
        if uses.sequences == 0 && !uses.kept {
            self.free.push(page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_free_when_its_last_user_leaves() {
        let mut pager = Pager::new(2, 16);
        let page = pager.allocate().expect("a free page");
        pager.hold(page);
        pager.keep(page);
        assert_eq!((pager.n_held(), pager.n_kept()), (1, 0));
        pager.release(page);
        assert!(pager.is_held(page));
        pager.release(page);
        assert_eq!((pager.n_held(), pager.n_kept()), (0, 1));
        pager.forget(page);
        assert_eq!((pager.n_held(), pager.n_kept()), (0, 0));
    }

    #[test]
    fn pages_run_out() {
        let mut pager = Pager::new(2, 16);
        assert_ne!(pager.allocate(), pager.allocate());
        assert_eq!(pager.allocate(), None);
    }

    #[test]
    fn a_started_page_counts_whole() {
        let pager = Pager::new(2, 16);
        let counts = [0, 1, 16, 17].map(|n| pager.pages_for(n));
        assert_eq!(counts, [0, 1, 1, 2]);
    }
}
