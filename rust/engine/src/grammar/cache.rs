//! The grammars compiled last.

use super::source::Source;
use super::vocabulary::Grammar;

/// Grammars kept; each may take tens of megabytes at the most.
const N_KEPT: usize = 16;

/// The least recently used goes first.
#[derive(Default)]
pub(super) struct Cache {
    /// From the oldest use to the youngest.
    kept: Vec<(Source, Grammar)>,
}

impl Cache {
    pub fn get(&mut self, source: &Source) -> Option<Grammar> {
        let place = self.kept.iter().position(|(kept, _)| kept == source)?;
        let entry = self.kept.remove(place);
        let grammar = entry.1.clone();
        self.kept.push(entry);
        Some(grammar)
    }

    pub fn put(&mut self, source: &Source, grammar: &Grammar) {
        self.kept.retain(|(kept, _)| kept != source);
        if self.kept.len() == N_KEPT {
            self.kept.remove(0);
        }
        self.kept.push((source.clone(), grammar.clone()));
    }
}
