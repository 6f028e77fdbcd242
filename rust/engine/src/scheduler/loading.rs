//! What a waiting sequence gets from files, before it is admitted.
//!
//! One sequence at a time is loaded for. The pages enter the tree as if they had been computed, and are held
//! until the last of them is there; the sequence then finds them like any others. If a file is missing or
//! there is no room, it goes on with what there is.

use std::sync::Arc;

use farthing_models::Page;

use super::Scheduler;
use crate::disk::{Ask, Kind};
use crate::prefix::Place;

/// Bytes of pages that are asked for and not there yet, at most, unless it is a single page: what those who
/// generate wait for between two passes.
const MAX_ASKED: usize = 32 << 20;

/// What is loaded now.
pub(super) struct Loading {
    /// The sequence that waits for it.
    id: u64,
    /// Its text.
    tokens: Arc<[u32]>,
    /// Where the pages that are there end.
    place: Place,
    /// They are held.
    pages: Vec<Page>,
    /// How many there will be, once that is known.
    end: Option<usize>,
    /// How many are there or asked for.
    asked: usize,
}

impl Scheduler {
    /// Whether a sequence waits for files.
    pub fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// The first question for the next sequence that may be loaded for, if it could run.
    pub fn start_loading(&mut self) -> Option<Ask> {
        if self.loading.is_some() || self.running.len() >= self.limits.max_sequences {
            return None;
        }
        let page_len = self.pager.page_len();
        while let Some(next) = self.waiting.iter_mut().find(|s| s.may_load) {
            let n_pages = next.sharable().len() / page_len;
            let tokens: Arc<[u32]> = next.sharable()[..n_pages * page_len].into();
            let found = self.prefixes.find(0, &tokens, &self.pager, &self.states);
            if found.positions == tokens.len() {
                next.may_load = false;
                continue;
            }
            let id = next.id;
            let (place, from) = self.prefixes.pages_of(0, &tokens, page_len);
            let pages = self.prefixes.pages(place);
            pages.iter().for_each(|&page| self.pager.hold(page));
            self.prefixes.touch_path(place);
            let ask = Ask::Find {
                id,
                tokens: tokens.clone(),
                page_len,
                from,
                with_states: self.states.is_used(),
            };
            self.loading = Some(Loading { id, tokens, place, pages, end: None, asked: from });
            return Some(ask);
        }
        None
    }

    /// So many pages of the sequence's text are there.
    pub fn found(&mut self, id: u64, n_pages: usize) {
        let page_len = self.pager.page_len();
        let Some(loading) = self.loading.as_mut().filter(|loading| loading.id == id) else {
            return;
        };
        let here = match self.states.is_used() {
            true => {
                let text = &loading.tokens;
                self.prefixes.find(0, text, &self.pager, &self.states).positions / page_len
            }
            false => loading.pages.len(),
        };
        if n_pages <= here {
            self.stop_loading(id);
            return;
        }
        // More pages than states are of no use.
        while loading.pages.len() > n_pages {
            loading.place = self.prefixes.parent(loading.place);
            let last = loading.pages.pop();
            last.into_iter().for_each(|page| self.pager.release(page));
        }
        loading.asked = loading.pages.len();
        loading.end = Some(n_pages);
    }

    /// What is to be read next. When all of it is there, the sequence waits no longer.
    pub fn next_reads(&mut self) -> Vec<Ask> {
        let page_len = self.pager.page_len();
        let with_states = self.states.is_used();
        let (Some(sizes), Some(loading)) = (self.limits.files, &mut self.loading) else {
            return Vec::new();
        };
        let Some(end) = loading.end else {
            return Vec::new();
        };
        let (id, tokens) = (loading.id, &loading.tokens);
        let ask = |kind, n: usize, n_bytes| Ask::Read {
            id,
            kind,
            tokens: tokens.clone(),
            len: n * page_len,
            n_bytes,
        };
        let most = (MAX_ASKED / sizes.page.max(1)).max(1);
        let until = end.min(loading.pages.len().saturating_add(most));
        let mut asks: Vec<Ask> =
            (loading.asked..until).map(|n| ask(Kind::Page, n + 1, sizes.page)).collect();
        loading.asked = loading.asked.max(until);
        if loading.pages.len() == end && loading.asked == end {
            if with_states {
                asks.push(ask(Kind::State, end, sizes.state));
                // Not again.
                loading.asked += 1;
            } else {
                self.stop_loading(id);
            }
        }
        asks
    }

    /// The page or slot for what was read for the first `len` tokens, if it is still of use; `is_there` says
    /// whether anything was read.
    pub fn place_for(&mut self, id: u64, kind: Kind, len: usize, is_there: bool) -> Option<u32> {
        let n_pages = len / self.pager.page_len();
        let loading = self.loading.as_ref().filter(|loading| loading.id == id)?;
        let number = match kind {
            _ if !is_there => None,
            Kind::Page if n_pages == loading.pages.len() + 1 => self.place_for_page(n_pages - 1),
            Kind::State if n_pages == loading.pages.len() => self.place_for_state(),
            _ => None,
        };
        if number.is_none() || kind == Kind::State {
            self.stop_loading(id);
        }
        number
    }

    fn place_for_page(&mut self, nth: usize) -> Option<Page> {
        if self.pager.n_held() + self.n_promised() >= self.pager.n_pages() {
            return None;
        }
        let page = self.allocate()?;
        let page_len = self.pager.page_len();
        let loading = self.loading.as_mut()?;
        let tokens = &loading.tokens[nth * page_len..][..page_len];
        loading.place = self.prefixes.add(loading.place, tokens, page, &mut self.pager);
        if self.prefixes.page(loading.place) != Some(page) {
            // It was computed meanwhile, with all that follows.
            self.pager.release(page);
            return None;
        }
        self.prefixes.set_saved(loading.place);
        loading.pages.push(page);
        Some(page)
    }

    fn place_for_state(&mut self) -> Option<u32> {
        let slot = self.allocate_state()?;
        let place = self.loading.as_ref()?.place;
        self.prefixes.mark(place, self.pager.page_len(), slot, &mut self.states);
        self.prefixes.set_saved(place);
        self.states.release(Some(slot));
        Some(slot)
    }

    /// Nobody waits for files any more.
    pub fn give_up_loading(&mut self) {
        self.stop_loading_any();
        self.waiting.iter_mut().for_each(|sequence| sequence.may_load = false);
    }

    /// Ends what is loaded now, whosever it is; says whether there was something.
    pub(super) fn stop_loading_any(&mut self) -> bool {
        let id = self.loading.as_ref().map(|loading| loading.id);
        id.map(|id| self.stop_loading(id)).is_some()
    }

    /// Ends the loading for a sequence, which goes on with what there is.
    pub(super) fn stop_loading(&mut self, id: u64) {
        if let Some(loading) = self.loading.take_if(|loading| loading.id == id) {
            for page in loading.pages {
                self.pager.release(page);
            }
        }
        if let Some(next) = self.waiting.iter_mut().find(|s| s.id == id) {
            next.may_load = false;
        }
    }
}
