//! What of a text is in the tree.

use std::collections::HashMap;
use std::sync::Arc;

use farthing_models::{Page, Slot};

use super::{Children, NodeId, Place, Prefixes, common_prefix, from, up_to};
use crate::pager::Pager;
use crate::states::Pool;

/// What a new sequence can take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Where the pages to share end.
    pub place: Place,
    /// Pages to share.
    pub whole: usize,
    /// The page after them, of which a copy is of use.
    pub tail: Option<Page>,
    /// Positions covered by the pages and the copy.
    pub positions: usize,
    tail_node: Option<NodeId>,
    mark: Option<usize>,
}

impl Match {
    /// Nothing.
    pub fn none(namespace: u64) -> Match {
        let place = Place::Root(namespace);
        Match { place, whole: 0, tail: None, positions: 0, tail_node: None, mark: None }
    }

    /// Takes a copy of another page after the shared ones, which covers more.
    pub fn copy_from(&mut self, page: Page, positions: usize) {
        (self.tail, self.tail_node, self.positions) = (Some(page), None, positions);
    }
}

impl Prefixes {
    /// The longest match for a text; with states the longest that ends at one.
    pub fn find(&self, namespace: u64, text: &[u32], pager: &Pager, states: &Pool) -> Match {
        let page_len = pager.page_len();
        let path = self.follow(namespace, text, page_len);
        let place = path.last().map_or(Place::Root(namespace), |&id| Place::Node(id));
        let rest = &text[path.len() * page_len..];
        let tails = self.children(place).map(|children| neighbours(children, rest));
        let tails = tails.into_iter().flatten().flatten();
        if states.is_used() {
            return self.find_mark(namespace, &path, tails, page_len);
        }
        let tail = tails.filter(|&(_, len)| len > 0).max_by_key(|&(_, len)| len);
        Match {
            place,
            whole: path.len(),
            tail: tail.map(|(id, _)| self.node(id).page),
            positions: path.len() * page_len + tail.map_or(0, |(_, len)| len),
            tail_node: tail.map(|(id, _)| id),
            mark: None,
        }
    }

    /// The last mark on a path or in the beginnings of the nodes after it.
    fn find_mark(
        &self,
        namespace: u64,
        path: &[NodeId],
        tails: impl Iterator<Item = (NodeId, usize)>,
        page_len: usize,
    ) -> Match {
        let whole = path.iter().enumerate().map(|(nth, &id)| (id, (nth, page_len)));
        let ends: HashMap<NodeId, (usize, usize)> =
            whole.chain(tails.map(|(id, len)| (id, (path.len(), len)))).collect();
        let reached = self.marks.iter().enumerate().filter_map(|(index, mark)| {
            let &(nth, len) = ends.get(&mark.node)?;
            (mark.len <= len).then_some((nth * page_len + mark.len, index))
        });
        let Some((positions, index)) = reached.max() else {
            return Match::none(namespace);
        };
        let whole = positions / page_len;
        let tail_node = (positions % page_len > 0).then_some(self.marks[index].node);
        Match {
            place: whole
                .checked_sub(1)
                .map_or(Place::Root(namespace), |nth| Place::Node(path[nth])),
            whole,
            tail: tail_node.map(|id| self.node(id).page),
            positions,
            tail_node,
            mark: Some(index),
        }
    }

    /// Pages of a match that sequences hold already.
    pub fn held_pages(&self, found: &Match, pager: &Pager) -> usize {
        self.path(found.place).filter(|&id| pager.is_held(self.node(id).page)).count()
    }

    /// Gives a match's pages and state to a sequence, which holds them from now on; not the tail.
    pub fn take(
        &mut self,
        found: &Match,
        pager: &mut Pager,
        states: &mut Pool,
    ) -> (Vec<Page>, Option<Slot>) {
        self.touch_path(found.place);
        if let Some(id) = found.tail_node {
            self.touch(id);
        }
        let pages = self.pages(found.place);
        for &page in &pages {
            pager.hold(page);
        }
        let slot = found.mark.map(|index| {
            self.marks[index].used = self.clock;
            self.marks[index].slot
        });
        if let Some(slot) = slot {
            states.hold(slot);
        }
        (pages, slot)
    }
}

/// The children that begin like a text, with how far: no other child has more in common with it than
/// those beside its place in their order.
fn neighbours(children: &Children, text: &[u32]) -> [Option<(NodeId, usize)>; 2] {
    let common = |(tokens, &id): (&Arc<[u32]>, &NodeId)| (id, common_prefix(tokens, text));
    [
        children.range::<[u32], _>(up_to(text)).next_back().map(common),
        children.range::<[u32], _>(from(text)).next().map(common),
    ]
}
