//! Constrained output: only what a grammar allows can be generated.
//!
//! A [`Vocabulary`] is made once for a model, a [`Grammar`] is compiled from a [`Source`] before a
//! request is submitted, on the caller's thread. A request's [`Constraint`] says when the grammar
//! begins: at once, after reasoning, or at a text such as the beginning of a tool call. While the
//! forward pass runs, a thread of its own computes which tokens may come next ([`mask`]).
//!
//! The parsers are those of the crate `llguidance`. What it understands of a JSON schema is checked
//! first ([`schema`]), so that an error says where it is; GBNF is translated ([`gbnf`]).

mod cache;
mod constrained;
mod constraint;
mod gbnf;
mod mask;
mod phase;
mod schema;
mod source;
mod tail;
mod vocabulary;

pub(crate) use constrained::Constrained;
pub use constraint::{Constraint, Thinking, Trigger};
pub(crate) use mask::{Mask, MaskThread};
pub use source::Source;
pub use vocabulary::{Grammar, TokenText, Vocabulary};
