//! What can be wrong with a request.

/// Why a request was refused or ended without a result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The engine was closed before the request came.
    #[error("the engine is closed")]
    Closed,
    /// There is nothing to compute.
    #[error("the prompt has no tokens; it must have at least 1")]
    EmptyPrompt,
    /// The prompt leaves no position for what is asked.
    #[error(
        "the prompt has {n_prompt} tokens; the context of {n_ctx} tokens allows at most {limit}"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        n_prompt: usize,
        /// Positions of the context.
        n_ctx: usize,
        /// The longest prompt that would have been taken.
        limit: usize,
    },
    /// A text to embed has more tokens than there are positions.
    #[error("texts[{index}] has {n_tokens} tokens; the context has room for {n_ctx}")]
    TextTooLong {
        /// Which text.
        index: usize,
        /// Its tokens.
        n_tokens: usize,
        /// Positions of the context.
        n_ctx: usize,
    },
    /// A text to embed has no tokens.
    #[error("texts[{0}] has no tokens; it must have at least 1")]
    EmptyText(usize),
    /// The model does not do such a thing, in words for the user.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A token id is not in the vocabulary.
    #[error("{place} is {id}, but the vocabulary ends at {}", n_vocab.saturating_sub(1))]
    UnknownToken {
        /// Which token it is, such as `tokens[3]`.
        place: String,
        /// The id given.
        id: u32,
        /// Entries of the vocabulary.
        n_vocab: usize,
    },
    /// A parameter is outside its range.
    #[error("{name} is {value}, but must be {allowed}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: String,
        /// The range of allowed values.
        allowed: String,
    },
    /// A grammar that cannot be understood.
    #[error("{kind}: {message}")]
    Grammar {
        /// What it is written in, as the option of a request is named.
        kind: &'static str,
        /// What is wrong, and where.
        message: String,
    },
    /// As many requests wait as may.
    #[error(
        "the queue is full: of {limit} requests that may run ({max_sequences}) and wait \
         ({max_queue}), {n} have not ended"
    )]
    QueueFull {
        /// Requests that have not ended.
        n: usize,
        /// The most that may be under way.
        limit: usize,
        /// Those of them that may run.
        max_sequences: usize,
        /// Those of them that may wait.
        max_queue: usize,
    },
    /// The engine's thread was to wait for itself.
    #[error("a logits_processor cannot make or read requests of the model that waits for it")]
    OwnThread,
    /// The caller gave the request up.
    #[error("cancelled")]
    Cancelled,
    /// The model failed, in words for the user.
    #[error("{0}")]
    Failed(String),
}

/// A result with the engine's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A parameter outside its range.
    pub(crate) fn parameter(
        name: &'static str,
        value: impl ToString,
        allowed: impl Into<String>,
    ) -> Error {
        Error::Parameter { name, value: value.to_string(), allowed: allowed.into() }
    }
}
