//! Choosing the next token.

mod sampling;

pub use sampling::Sampling;
