use super::*;
use proptest::prelude::*;

const PAGE_LEN: usize = 4;

/// The tree with what it counts in.
struct Cache {
    prefixes: Prefixes,
    pager: Pager,
    states: Pool,
}

impl Cache {
    fn new(n_pages: usize, n_states: usize) -> Cache {
        Cache {
            prefixes: Prefixes::default(),
            pager: Pager::new(n_pages, PAGE_LEN),
            states: Pool::new(n_states),
        }
    }

    fn find(&self, namespace: u64, text: &[u32]) -> Match {
        self.prefixes.find(namespace, text, &self.pager, &self.states)
    }

    fn covers(&self, text: &[u32]) -> usize {
        self.find(0, text).positions
    }

    fn take(&mut self, found: &Match) -> (Vec<Page>, Option<Slot>) {
        self.prefixes.take(found, &mut self.pager, &mut self.states)
    }

    fn release(&mut self, pages: &[Page]) {
        pages.iter().for_each(|&page| self.pager.release(page));
    }

    fn evict(&mut self) -> bool {
        self.prefixes.evict(&mut self.pager, &mut self.states)
    }

    fn allocate(&mut self) -> Page {
        self.pager.allocate().unwrap_or_else(|| {
            assert!(self.evict(), "nothing to evict");
            self.pager.allocate().expect("a page after one was evicted")
        })
    }

    /// Keeps a text as a sequence does that has computed it; with states the one at its end.
    fn keep(&mut self, namespace: u64, text: &[u32]) {
        let found = self.find(namespace, text);
        let (mut pages, from) = self.take(&found);
        let mut place = found.place;
        for tokens in text[found.whole * PAGE_LEN..].chunks(PAGE_LEN) {
            let page = self.allocate();
            pages.push(page);
            place = self.prefixes.add(place, tokens, page, &mut self.pager);
            let theirs = self.prefixes.page(place).expect("a page");
            if tokens.len() == PAGE_LEN && theirs != page {
                self.pager.hold(theirs);
                self.pager.release(page);
                *pages.last_mut().expect("it was pushed") = theirs;
            }
        }
        self.states.release(from);
        if self.states.is_used() && !text.is_empty() {
            let slot = self.states.allocate().or_else(|| {
                assert!(self.prefixes.evict_state(&mut self.states));
                self.states.allocate()
            });
            let len = (text.len() - 1) % PAGE_LEN + 1;
            self.prefixes.mark(place, len, slot.expect("a slot"), &mut self.states);
            self.states.release(slot);
        }
        self.release(&pages);
    }
}

#[test]
fn whole_pages_are_shared_and_a_beginning_is_copied() {
    let mut cache = Cache::new(8, 0);
    cache.keep(0, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let found = cache.find(0, &[1, 2, 3, 4, 5, 6, 0]);
    assert_eq!((found.whole, found.positions, found.tail), (1, 6, Some(1)));
    let found = cache.find(0, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!((found.whole, found.positions, found.tail), (2, 9, Some(2)));
    assert_eq!(cache.covers(&[1, 2, 3]), 3);
    assert_eq!(cache.covers(&[2, 2, 3, 4, 5]), 0);
    let (pages, _) = cache.take(&found);
    assert_eq!(pages, [0, 1]);
    assert_eq!((cache.pager.n_held(), cache.pager.n_kept()), (2, 1));
}

#[test]
fn namespaces_share_nothing() {
    let mut cache = Cache::new(8, 0);
    cache.keep(7, &[1, 2, 3, 4, 5]);
    assert_eq!(cache.covers(&[1, 2, 3, 4, 5]), 0);
    assert_eq!(cache.find(7, &[1, 2, 3, 4, 5]).positions, 5);
    cache.keep(0, &[1, 2, 3, 4, 5]);
    assert_eq!(cache.pager.n_kept(), 4);
}

#[test]
fn a_longer_page_replaces_its_beginning() {
    let mut cache = Cache::new(8, 0);
    cache.keep(0, &[1, 2, 3, 4, 5]);
    cache.keep(0, &[1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(cache.pager.n_kept(), 2);
    cache.keep(0, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(cache.pager.n_kept(), 2);
    cache.keep(0, &[1, 2, 3, 4, 5, 7]);
    assert_eq!(cache.pager.n_kept(), 3);
}

#[test]
fn leaves_go_first_and_the_oldest_of_them() {
    let mut cache = Cache::new(4, 0);
    cache.keep(0, &[1; 8]);
    cache.keep(0, &[2; 8]);
    assert!(cache.evict());
    assert_eq!((cache.covers(&[1; 9]), cache.covers(&[2; 9])), (4, 8));
    let found = cache.find(0, &[1; 4]);
    let (held, _) = cache.take(&found);
    assert!(cache.evict() && cache.evict());
    assert!(!cache.evict(), "a sequence holds the rest");
    cache.release(&held);
    assert!(cache.evict());
    assert_eq!(cache.pager.n_kept(), 0);
    assert!(cache.prefixes.roots.is_empty() && cache.prefixes.leaves.is_empty());
}

#[test]
fn a_text_goes_on_only_where_its_state_is() {
    let mut cache = Cache::new(8, 4);
    cache.keep(0, &[1; 6]);
    assert_eq!(cache.covers(&[1; 5]), 0);
    assert_eq!(cache.covers(&[1; 6]), 6);
    // The longer page takes the mark of its beginning over.
    cache.keep(0, &[1; 8]);
    assert_eq!(cache.pager.n_kept(), 2);
    assert_eq!([5, 6, 7, 8, 9].map(|n| cache.covers(&vec![1; n])), [0, 6, 6, 8, 8]);
    let found = cache.find(0, &[1, 1, 1, 1, 1, 1, 2]);
    assert_eq!((found.positions, found.whole), (6, 1));
    let (pages, slot) = cache.take(&found);
    assert_eq!((pages.len(), slot.map(|slot| cache.states.users(slot))), (1, Some(2)));
    // The other one is freed, this one is in use.
    assert!(cache.prefixes.evict_state(&mut cache.states));
    assert!(!cache.prefixes.evict_state(&mut cache.states));
    assert_eq!(cache.covers(&[1; 9]), 6);
    cache.states.release(slot);
    cache.release(&pages);
    assert!(cache.evict());
    assert_eq!(cache.covers(&[1; 9]), 0, "the mark went with its page");
    assert_eq!((0..5).filter_map(|_| cache.states.allocate()).count(), 4);
}

/// What the tree is to be like: all texts ever kept, with when each of their beginnings was used.
#[derive(Default)]
struct Naive {
    texts: Vec<(u64, Vec<u32>)>,
}

impl Naive {
    fn covers(&self, namespace: u64, text: &[u32]) -> usize {
        let ours = self.texts.iter().filter(|(space, _)| *space == namespace);
        ours.map(|(_, kept)| common_prefix(kept, text)).max().unwrap_or(0)
    }

    /// Different pages of the texts, beginnings of others left out.
    fn n_pages(&self) -> usize {
        let mut pages: Vec<(u64, &[u32])> = Vec::new();
        for (namespace, text) in &self.texts {
            let ends = (PAGE_LEN..=text.len()).step_by(PAGE_LEN).chain([text.len()]);
            pages.extend(ends.filter(|&end| end > 0).map(|end| (*namespace, &text[..end])));
        }
        pages.sort();
        pages.dedup();
        let begins = |page: &&(u64, &[u32])| {
            let (namespace, text) = page;
            text.len() % PAGE_LEN > 0
                && pages.iter().any(|(other, longer)| {
                    other == namespace && longer.len() > text.len() && longer.starts_with(text)
                })
        };
        pages.len() - pages.iter().filter(begins).count()
    }
}

fn texts(n: usize) -> impl Strategy<Value = Vec<(u64, Vec<u32>)>> {
    let text = prop::collection::vec(prop_oneof![4 => Just(0u32), 1 => 1..3u32], 0..20);
    prop::collection::vec((0..2u64, text), 1..n)
}

impl Cache {
    /// That everything fits together.
    fn check(&self) {
        let nodes = || {
            let ids = 0..self.prefixes.nodes.len() as NodeId;
            ids.filter_map(|id| self.prefixes.nodes[id as usize].as_ref().map(|node| (id, node)))
        };
        let mut pages: Vec<Page> = nodes().map(|(_, node)| node.page).collect();
        pages.sort_unstable();
        pages.dedup();
        assert_eq!(pages.len(), nodes().count(), "a page in two nodes");
        for (id, node) in nodes() {
            assert_eq!(self.prefixes.children(node.parent).expect("a parent")[&node.tokens], id);
            assert_eq!(node.children.is_empty(), self.prefixes.leaves.contains(&(node.used, id)));
            assert!(node.children.is_empty() || node.tokens.len() == PAGE_LEN);
        }
        let leaves = nodes().filter(|(_, node)| node.children.is_empty()).count();
        assert_eq!(leaves, self.prefixes.leaves.len());
        for mark in &self.prefixes.marks {
            let node = self.prefixes.node(mark.node);
            assert!((1..=node.tokens.len()).contains(&mark.len));
        }
    }
}

proptest! {
    #[test]
    fn finds_as_much_as_a_list_of_texts(texts in texts(30), wanted in texts(10)) {
        let (mut cache, mut naive) = (Cache::new(300, 0), Naive::default());
        for (namespace, text) in texts {
            cache.keep(namespace, &text);
            naive.texts.push((namespace, text));
            cache.check();
        }
        prop_assert_eq!(cache.pager.n_kept(), naive.n_pages());
        prop_assert_eq!(cache.pager.n_held(), 0);
        for (namespace, text) in wanted.iter().chain(&naive.texts) {
            let found = cache.find(*namespace, text);
            prop_assert_eq!(found.positions, naive.covers(*namespace, text));
        }
    }

    #[test]
    fn what_was_used_last_stays(texts in texts(60), n_pages in 5usize..12) {
        let mut cache = Cache::new(n_pages, 0);
        for (namespace, text) in &texts {
            cache.keep(*namespace, text);
            cache.check();
            prop_assert_eq!(cache.find(*namespace, text).positions, text.len());
        }
        while cache.evict() {
            cache.check();
        }
        prop_assert_eq!((cache.pager.n_kept(), cache.pager.n_held()), (0, 0));
        prop_assert!(cache.prefixes.roots.is_empty());
    }

    #[test]
    fn states_are_found_where_they_were_left(texts in texts(30), n_states in 1usize..6) {
        let mut cache = Cache::new(40, n_states);
        for (namespace, text) in &texts {
            cache.keep(*namespace, text);
            cache.check();
            prop_assert_eq!(cache.find(*namespace, text).positions, text.len());
            for (other, wanted) in &texts {
                let n = cache.find(*other, wanted).positions;
                let left = |(space, text): &(u64, Vec<u32>)| {
                    space == other && text.len() == n && wanted.starts_with(text)
                };
                prop_assert!(n == 0 || texts.iter().any(left));
            }
        }
        while cache.evict() {}
        prop_assert!(cache.prefixes.marks.is_empty());
        prop_assert_eq!((0..9).filter_map(|_| cache.states.allocate()).count(), n_states);
    }
}
