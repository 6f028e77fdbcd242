//! What of the tree is in no file yet.

use super::{Node, NodeId, Place, Prefixes};
use crate::disk::Kind;

/// What there is to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsaved {
    pub kind: Kind,
    /// The whole text up to its end.
    pub tokens: Vec<u32>,
    /// The page or the slot.
    pub number: u32,
}

impl Prefixes {
    /// Whether its page is full and means the same to other processes.
    pub(super) fn goes_to_file(&self, node: &Node) -> bool {
        self.saving == Some(node.tokens.len()) && node.namespace == 0
    }

    /// There is a file for the page before a place, and for the state at its end.
    pub fn set_saved(&mut self, place: Place) {
        if let Place::Node(id) = place {
            self.unsaved.remove(&id);
            self.marks.iter_mut().filter(|m| m.node == id).for_each(|m| m.unsaved = false);
        }
    }

    /// Whether there is something to be saved.
    pub fn has_unsaved(&self) -> bool {
        !self.unsaved.is_empty() || self.marks.iter().any(|mark| mark.unsaved)
    }

    /// Something to be saved, which counts as saved then.
    pub fn next_unsaved(&mut self) -> Option<Unsaved> {
        if let Some(id) = self.unsaved.pop_first() {
            return Some(self.unsaved_page(id));
        }
        let index = self.marks.iter().position(|mark| mark.unsaved)?;
        self.marks[index].unsaved = false;
        Some(self.unsaved_state(index))
    }

    /// What has left without being saved; its page or slot is not written before the next pass.
    pub fn take_leaving(&mut self) -> Vec<Unsaved> {
        std::mem::take(&mut self.leaving)
    }

    pub(super) fn unsaved_page(&self, id: NodeId) -> Unsaved {
        Unsaved { kind: Kind::Page, tokens: self.text(id), number: self.node(id).page }
    }

    pub(super) fn unsaved_state(&self, index: usize) -> Unsaved {
        let mark = &self.marks[index];
        Unsaved { kind: Kind::State, tokens: self.text(mark.node), number: mark.slot }
    }

    /// The text up to the end of a node.
    fn text(&self, id: NodeId) -> Vec<u32> {
        let mut path: Vec<NodeId> = self.path(Place::Node(id)).collect();
        path.reverse();
        path.iter().flat_map(|&id| self.node(id).tokens.iter().copied()).collect()
    }
}
