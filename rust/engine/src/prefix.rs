//! Computed pages by the tokens in them, for requests that begin with the same tokens.
//!
//! A tree: a node is a page, and the path to it is the text before it. Pages of running sequences enter it
//! as they are complete, so that requests at the same time share them too. A page that is not full, or of
//! which only the beginning fits, is copied by who goes on from it. When pages run out, the leaf that was
//! used least recently goes first; what sequences hold stays, and so does all before it.
//!
//! In models with states a sequence can only go on where the state is kept: a mark says that there is one
//! after some of a node's tokens.
//!
//! Texts of different namespaces never share: the same tokens mean other numbers there.
//!
//! Where files are kept too, full pages and the states at their ends go there before they leave; of namespace
//! 0 alone, since the numbers of others mean nothing to other processes.

mod matching;
mod unsaved;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use farthing_models::{Page, Slot};

use crate::pager::Pager;
pub(crate) use crate::prefix::matching::Match;
pub(crate) use crate::prefix::unsaved::Unsaved;
use crate::states::Pool;

/// What is kept of the texts computed so far.
#[derive(Default)]
pub(crate) struct Prefixes {
    nodes: Vec<Option<Node>>,
    /// Numbers of nodes that are gone.
    vacant: Vec<NodeId>,
    /// The nodes without a parent, by namespace.
    roots: HashMap<u64, Children>,
    /// The nodes without children, by when they were used.
    leaves: BTreeSet<(u64, NodeId)>,
    marks: Vec<Mark>,
    clock: u64,
    /// Positions of a page, if there are files.
    saving: Option<usize>,
    /// Nodes for which there is no file yet.
    unsaved: BTreeSet<NodeId>,
    /// What has left without one since it was last asked for.
    leaving: Vec<Unsaved>,
}

type NodeId = u32;

/// In the order of their tokens, so that those that begin like a text stand around it. None is the
/// beginning of another.
type Children = BTreeMap<Arc<[u32]>, NodeId>;

/// A place in the tree: the end of the text that leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The beginning, in a namespace.
    Root(u64),
    /// Behind a node's page.
    Node(NodeId),
}

struct Node {
    namespace: u64,
    parent: Place,
    /// As many as a page has positions, or fewer, if it is a leaf.
    tokens: Arc<[u32]>,
    page: Page,
    children: Children,
    /// The clock when it was last used.
    used: u64,
}

/// A state that is kept.
struct Mark {
    /// It is after the first `len` tokens of the node.
    node: NodeId,
    len: usize,
    slot: Slot,
    used: u64,
    unsaved: bool,
}

impl Prefixes {
    /// An empty tree. With `saving`, the positions of a page, it knows what is not in a file yet.
    pub fn new(saving: Option<usize>) -> Prefixes {
        Prefixes { saving, ..Prefixes::default() }
    }

    /// How many full pages of a text there are, and where they end.
    pub fn pages_of(&self, namespace: u64, text: &[u32], page_len: usize) -> (Place, usize) {
        let path = self.follow(namespace, text, page_len);
        let end = path.last().map_or(Place::Root(namespace), |&id| Place::Node(id));
        (end, path.len())
    }

    /// The nodes of a text's full pages.
    fn follow(&self, namespace: u64, text: &[u32], page_len: usize) -> Vec<NodeId> {
        let mut path = Vec::new();
        let mut place = Place::Root(namespace);
        for tokens in text.chunks_exact(page_len) {
            let Some(&id) = self.children(place).and_then(|children| children.get(tokens)) else {
                break;
            };
            path.push(id);
            place = Place::Node(id);
        }
        path
    }

    /// Adds a page behind a place, for tokens that are computed in it, one or more. If there is one for
    /// them already, that one counts: the place behind it, its page, and how many tokens it has in common.
    pub fn add(&mut self, place: Place, tokens: &[u32], page: Page, pager: &mut Pager) -> Place {
        self.clock += 1;
        let children = self.children(place);
        let after = children.and_then(|c| c.range::<[u32], _>(from(tokens)).next());
        if let Some((_, &id)) = after.filter(|(longer, _)| longer.starts_with(tokens)) {
            self.touch(id);
            return Place::Node(id);
        }
        let before = children.and_then(|c| c.range::<[u32], _>(up_to(tokens)).next_back());
        let shorter = before.filter(|(shorter, _)| tokens.starts_with(shorter)).map(|(_, &id)| id);
        pager.keep(page);
        let tokens: Arc<[u32]> = tokens.into();
        let namespace = self.namespace(place);
        let node = Node {
            namespace,
            parent: place,
            tokens: tokens.clone(),
            page,
            children: Children::new(),
            used: 0,
        };
        let id = self.vacant.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            self.nodes.len() as NodeId - 1
        });
        if self.goes_to_file(&node) {
            self.unsaved.insert(id);
        }
        self.nodes[id as usize] = Some(node);
        if let Place::Node(parent) = place {
            self.leaves.remove(&(self.node(parent).used, parent));
        }
        self.children_mut(place).insert(tokens, id);
        self.leaves.insert((0, id));
        self.touch(id);
        if let Some(shorter) = shorter {
            // What it had is in the new one too.
            self.marks.iter_mut().filter(|m| m.node == shorter).for_each(|m| m.node = id);
            self.remove(shorter, pager);
        }
        Place::Node(id)
    }

    /// The pages up to a place.
    pub fn pages(&self, place: Place) -> Vec<Page> {
        let mut pages: Vec<Page> = self.path(place).map(|id| self.node(id).page).collect();
        pages.reverse();
        pages
    }

    /// The page before a place.
    pub fn page(&self, place: Place) -> Option<Page> {
        match place {
            Place::Root(_) => None,
            Place::Node(id) => Some(self.node(id).page),
        }
    }

    /// The place before the last page of one.
    pub fn parent(&self, place: Place) -> Place {
        match place {
            Place::Root(_) => place,
            Place::Node(id) => self.node(id).parent,
        }
    }

    fn namespace(&self, place: Place) -> u64 {
        match place {
            Place::Root(namespace) => namespace,
            Place::Node(id) => self.node(id).namespace,
        }
    }

    /// Keeps the state after the first `len` tokens of the page before a place.
    pub fn mark(&mut self, place: Place, len: usize, slot: Slot, states: &mut Pool) {
        let Place::Node(node) = place else {
            return;
        };
        self.clock += 1;
        let used = self.clock;
        let unsaved = self.saving == Some(len) && self.goes_to_file(self.node(node));
        match self.marks.iter_mut().find(|m| (m.node, m.len) == (node, len)) {
            Some(mark) => mark.used = used,
            None => {
                states.hold(slot);
                self.marks.push(Mark { node, len, slot, used, unsaved });
            }
        }
    }

    /// Notes that the text up to a place was of use.
    pub fn touch_path(&mut self, place: Place) {
        self.clock += 1;
        let path: Vec<NodeId> = self.path(place).collect();
        path.into_iter().for_each(|id| self.touch(id));
    }

    /// Forgets the page before a place, if it is a leaf and only one sequence holds it, and gives the place
    /// before that.
    pub fn forget(&mut self, place: Place, pager: &mut Pager, states: &mut Pool) -> Option<Place> {
        let Place::Node(id) = place else {
            return None;
        };
        let node = self.node(id);
        if !node.children.is_empty() || pager.holders(node.page) > 1 {
            return None;
        }
        let parent = node.parent;
        self.release_marks(id, states);
        self.remove(id, pager);
        Some(parent)
    }

    /// Frees the page that was used least recently, of those that no sequence holds; false if there is none.
    pub fn evict(&mut self, pager: &mut Pager, states: &mut Pool) -> bool {
        // Each sequence holds one leaf at most.
        let oldest = self.leaves.iter().find(|(_, id)| !pager.is_held(self.node(*id).page));
        let Some(&(_, id)) = oldest else {
            return false;
        };
        let marks = (0..self.marks.len()).filter(|&i| self.marks[i].node == id);
        let states_of = marks.filter(|&i| self.marks[i].unsaved).map(|i| self.unsaved_state(i));
        let page = self.unsaved.contains(&id).then(|| self.unsaved_page(id));
        let leaving: Vec<Unsaved> = page.into_iter().chain(states_of).collect();
        self.leaving.extend(leaving);
        self.release_marks(id, states);
        self.remove(id, pager);
        true
    }

    /// Frees the slot of the state that was used least recently; false if there is none.
    pub fn evict_state(&mut self, states: &mut Pool) -> bool {
        let ours = self.marks.iter().enumerate().filter(|(_, mark)| states.users(mark.slot) == 1);
        let Some((index, _)) = ours.min_by_key(|(_, mark)| mark.used) else {
            return false;
        };
        let leaving = self.marks[index].unsaved.then(|| self.unsaved_state(index));
        self.leaving.extend(leaving);
        states.release(Some(self.marks.swap_remove(index).slot));
        true
    }

    fn release_marks(&mut self, node: NodeId, states: &mut Pool) {
        self.marks.retain(|mark| {
            if mark.node == node {
                states.release(Some(mark.slot));
            }
            mark.node != node
        });
    }

    /// Removes a leaf, which has no marks.
    fn remove(&mut self, id: NodeId, pager: &mut Pager) {
        let Some(node) = self.nodes[id as usize].take() else {
            return;
        };
        self.vacant.push(id);
        self.unsaved.remove(&id);
        self.leaves.remove(&(node.used, id));
        pager.forget(node.page);
        let siblings = self.children_mut(node.parent);
        siblings.remove(&node.tokens);
        if siblings.is_empty() {
            match node.parent {
                Place::Root(namespace) => drop(self.roots.remove(&namespace)),
                Place::Node(parent) => drop(self.leaves.insert((self.node(parent).used, parent))),
            }
        }
    }

    fn touch(&mut self, id: NodeId) {
        let clock = self.clock;
        let node = self.node_mut(id);
        let before = std::mem::replace(&mut node.used, clock);
        if self.leaves.remove(&(before, id)) {
            self.leaves.insert((clock, id));
        }
    }

    /// The nodes up to a place, from the last to the first.
    fn path(&self, place: Place) -> impl Iterator<Item = NodeId> {
        let node = |place| match place {
            Place::Root(_) => None,
            Place::Node(id) => Some(id),
        };
        std::iter::successors(node(place), move |&id| node(self.node(id).parent))
    }

    fn children(&self, place: Place) -> Option<&Children> {
        match place {
            Place::Root(namespace) => self.roots.get(&namespace),
            Place::Node(id) => Some(&self.node(id).children),
        }
    }

    fn children_mut(&mut self, place: Place) -> &mut Children {
        match place {
            Place::Root(namespace) => self.roots.entry(namespace).or_default(),
            Place::Node(id) => &mut self.node_mut(id).children,
        }
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes[id as usize].as_ref().expect("a place of the tree")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id as usize].as_mut().expect("a place of the tree")
    }
}

fn from(tokens: &[u32]) -> (Bound<&[u32]>, Bound<&[u32]>) {
    (Bound::Included(tokens), Bound::Unbounded)
}

fn up_to(tokens: &[u32]) -> (Bound<&[u32]>, Bound<&[u32]>) {
    (Bound::Unbounded, Bound::Excluded(tokens))
}

/// How many tokens two texts have in common.
pub(crate) fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
