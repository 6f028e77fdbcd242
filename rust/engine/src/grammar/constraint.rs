//! What a request says about its constraint.

use super::vocabulary::Grammar;

/// A grammar, and where in the answer it begins.
///
/// With no thinking and no triggers that is at once, and the answer ends where the grammar does.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// What may be generated.
    pub grammar: Grammar,
    /// Reasoning that comes first and is free.
    pub thinking: Option<Thinking>,
    /// If there are any, all text is free up to one of these, with which the grammar begins.
    pub triggers: Vec<Trigger>,
}

/// How reasoning is set apart. Texts may be special tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Thinking {
    /// With which it begins if it comes at all; `None` if it has begun in the prompt.
    pub begin: Option<String>,
    /// Ends it.
    pub end: String,
}

/// A text, perhaps of special tokens, at which a grammar begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// The text.
    pub text: String,
    /// Whether it counts only where nothing but white space is before it.
    pub first: bool,
    /// Whether the grammar begins after it, not with it.
    pub after: bool,
}

impl Constraint {
    /// A grammar for all of the answer.
    pub fn whole(grammar: Grammar) -> Constraint {
        Constraint { grammar, thinking: None, triggers: Vec::new() }
    }
}
