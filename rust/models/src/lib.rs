//! Transformer architectures over GGUF weights.

mod batch;

pub use batch::{Page, Run, Wants};
