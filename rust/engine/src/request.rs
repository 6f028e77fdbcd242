//! What is asked of the engine and what comes back.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use farthing_models::Adapters;

use crate::error::{Error, Result};
use crate::grammar::Constraint;
use crate::processor::LogitsProcessor;
use crate::sampler::Sampling;

/// The largest [`Request::logprobs`].
pub const MAX_LOGPROBS: usize = 20;

/// A prompt to continue.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The prompt's token ids, at least one and fewer than the context has positions.
    pub tokens: Vec<u32>,
    /// At most this many tokens are generated; `None` stands for as many as the context holds, or, with
    /// `shift`, for any number. With
    /// 0 the prompt is computed (and kept for reuse) and nothing is generated.
    pub max_tokens: Option<usize>,
    /// Ids that end the generation (the end-of-generation tokens). The one that did is not an
    /// output. See also [`Sampling::ignore_eos`].
    pub stop_tokens: Vec<u32>,
    /// What may be generated; anything without one. The generation ends as [`FinishReason::Stop`]
    /// where nothing more may follow.
    pub constraint: Option<Constraint>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Changes the logits before `sampling` sees them.
    pub logits_processor: Option<Arc<dyn LogitsProcessor>>,
    /// With `Some(n)` every token comes with its log-probability and those of the `n` most likely
    /// tokens, `n` at most [`MAX_LOGPROBS`].
    pub logprobs: Option<usize>,
    /// Whether these are those of the draw, after processor, bias and samplers, rather than the
    /// model's own. Then only tokens that could have been drawn are listed.
    pub post_sampling_probs: bool,
    /// At most this many tokens are guessed for a pass; `None` stands for
    /// [`Config::n_draft_max`](crate::Config::n_draft_max), 0 for none. The answer is the same.
    pub n_draft_max: Option<usize>,
    /// What becomes of an answer that fills the context; by default it ends.
    pub shift: Option<Shift>,
    /// What the model's matrices are changed by, with scales.
    pub adapters: Adapters,
    /// Whether it computes all of its prompt itself and leaves nothing for others, instead of sharing what
    /// begins alike.
    pub unshared: bool,
    /// Requests of different namespaces never share; neither do those with different adapters.
    pub namespace: u64,
    /// Higher goes first: in the queue, in what a pass computes, and in keeping its memory. Default 0.
    pub priority: i32,
    /// The answer ends, as far as it came, this long after the request was submitted. Default none.
    pub timeout: Option<Duration>,
}

/// How an answer goes on when the context is full: as that to a request of what is left when the first
/// half of its tokens is thrown away, but for some at the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// How many tokens stay at the beginning, at most all but 4 of the context; `None` stands for the
    /// prompt.
    pub keep: Option<usize>,
    /// A first token that stays besides.
    pub first: Option<u32>,
}

impl Shift {
    /// The places of those that go, of the first `n` tokens of a text.
    pub(crate) fn gap(self, tokens: &[u32], n: usize, n_prompt: usize) -> Range<usize> {
        let first = usize::from(self.first.is_some() && self.first == tokens.first().copied());
        let keep = self.keep.map_or(n_prompt, |keep| keep.saturating_add(first));
        let keep = keep.min(n.saturating_sub(4));
        keep..keep + (n - keep).div_ceil(2)
    }
}

impl Request {
    /// The namespace of what it shares, if it shares anything.
    pub(crate) fn sharing(&self) -> Option<u64> {
        if self.unshared || self.adapters.is_empty() {
            return (!self.unshared).then_some(self.namespace);
        }
        let mut hasher = DefaultHasher::new();
        self.namespace.hash(&mut hasher);
        for (adapter, scale) in &*self.adapters {
            (adapter.id(), scale.to_bits()).hash(&mut hasher);
        }
        Some(hasher.finish())
    }

    /// Checks everything that can be wrong with a request for a vocabulary of `n_vocab` tokens and
    /// a context of `n_ctx` positions.
    pub(crate) fn validate(&self, n_vocab: usize, n_ctx: usize) -> Result<()> {
        check_prompt(&self.tokens, n_vocab, n_ctx, n_ctx - 1)?;
        check_ids("stop_tokens", self.stop_tokens.iter().copied(), n_vocab)?;
        check_ids("logit_bias", self.sampling.logit_bias.iter().map(|&(id, _)| id), n_vocab)?;
        if let Some(n) = self.logprobs.filter(|&n| n > MAX_LOGPROBS) {
            return Err(Error::parameter("logprobs", n, format!("0 to {MAX_LOGPROBS}")));
        }
        if self.post_sampling_probs && self.logprobs.is_none() {
            return Err(Error::parameter("post_sampling_probs", true, "false without logprobs"));
        }
        self.sampling.validate()
    }
}

/// Checks a prompt of which at most `limit` tokens are allowed.
pub(crate) fn check_prompt(
    tokens: &[u32],
    n_vocab: usize,
    n_ctx: usize,
    limit: usize,
) -> Result<()> {
    if tokens.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    if tokens.len() > limit {
        return Err(Error::PromptTooLong { n_prompt: tokens.len(), n_ctx, limit });
    }
    check_ids("tokens", tokens.iter().copied(), n_vocab)
}

/// Checks texts to embed, of which each may fill the context.
pub(crate) fn check_texts(texts: &[Vec<u32>], n_vocab: usize, n_ctx: usize) -> Result<()> {
    if texts.is_empty() {
        return Err(Error::parameter("texts", "an empty list", "1 text or more"));
    }
    for (index, tokens) in texts.iter().enumerate() {
        let n_tokens = tokens.len();
        if n_tokens == 0 {
            return Err(Error::EmptyText(index));
        }
        if n_tokens > n_ctx {
            return Err(Error::TextTooLong { index, n_tokens, n_ctx });
        }
        check_ids(&format!("texts[{index}]"), tokens.iter().copied(), n_vocab)?;
    }
    Ok(())
}

fn check_ids(name: &str, ids: impl Iterator<Item = u32>, n_vocab: usize) -> Result<()> {
    for (index, id) in ids.enumerate() {
        if id as usize >= n_vocab {
            return Err(Error::UnknownToken { place: format!("{name}[{index}]"), id, n_vocab });
        }
    }
    Ok(())
}

/// One piece of a request's answer, in order. The last is `Finished` or `Error`.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A generated token.
    Token {
        /// The token.
        id: u32,
        /// Its log-probability, where asked for.
        logprob: Option<Logprob>,
    },
    /// The end of the answer.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// Tokens spent.
        usage: Usage,
        /// Time spent.
        timings: Timings,
    },
    /// The end of an answer that could not be completed, in words for the user.
    Error(String),
}

/// Log-probabilities, natural logarithm: those of the model itself, the log-softmax of the logits
/// before processor, bias and samplers, or with [`Request::post_sampling_probs`] those of the draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Logprob {
    /// That of the token chosen.
    pub logprob: f32,
    /// The most likely tokens with theirs, falling; of equal ones the lower id first.
    pub top: Vec<(u32, f32)>,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// A stop token was chosen.
    Stop,
    /// `max_tokens` or the end of the context was reached.
    Length,
    /// The request's time was up.
    Timeout,
    /// The caller cancelled it or closed the engine.
    Cancelled,
}

impl FinishReason {
    /// `stop`, `length`, `timeout` or `cancelled`.
    pub fn as_str(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Timeout => "timeout",
            FinishReason::Cancelled => "cancelled",
        }
    }
}

/// Tokens of a finished request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens given out; the stop token is not one.
    pub completion_tokens: usize,
    /// Those of the prompt that earlier requests had computed already.
    pub cached_tokens: usize,
    /// Those thrown away when the context was full.
    pub shifted_tokens: usize,
}

/// Times of a finished request, in milliseconds, and the tokens they were spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// From the submission to the first pass with a part of the prompt.
    pub queue_ms: f64,
    /// From there to the first token chosen.
    pub prompt_ms: f64,
    /// From there to the end.
    pub predicted_ms: f64,
    /// Tokens of the prompt computed for this request: all but the cached ones.
    pub prompt_n: usize,
    /// Tokens chosen, the stop token among them.
    pub predicted_n: usize,
    /// Tokens of the prompt taken from earlier requests.
    pub cached_n: usize,
    /// Tokens guessed and computed.
    pub draft_n: usize,
    /// Those of them that were right.
    pub draft_n_accepted: usize,
}
