//! Callbacks of a request that change its logits.

use std::fmt::Debug;

/// Changes the logits of a request before bias and samplers. It is called on the engine's thread,
/// which holds no lock and computes nothing meanwhile; it must not wait for the engine.
pub trait LogitsProcessor: Debug + Send + Sync {
    /// `tokens` are the prompt and what was generated, `logits[n_vocab]` those of the next token. An
    /// error ends the request, and is its message.
    fn process(&self, tokens: &[u32], logits: &mut [f32]) -> Result<(), String>;
}
