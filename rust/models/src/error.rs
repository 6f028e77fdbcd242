//! What can be wrong with a model.

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is damaged, or a key is missing or of another type.
    #[error(transparent)]
    File(#[from] farthing_gguf::Error),
    /// The architecture is not one of the table.
    #[error("{file}: unknown architecture \"{name}\"; {hint}")]
    UnknownArchitecture {
        /// The file.
        file: String,
        /// What it calls itself.
        name: String,
        /// Names that are known.
        hint: String,
    },
    /// A value that the architecture cannot have.
    #[error("{file}: {key} is {value}, but must be {wanted}")]
    Parameter {
        /// The file.
        file: String,
        /// The metadata key.
        key: String,
        /// What it says.
        value: String,
        /// What it may say.
        wanted: String,
    },
    /// A tensor that the architecture needs is not there.
    #[error("{file}: tensor {name} is missing")]
    MissingTensor {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
    },
    /// A tensor has other dimensions than its use asks for.
    #[error("{file}: tensor {name} has the shape {found:?}, but {wanted:?} is needed")]
    Shape {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
        /// Its dimensions, the fastest first.
        found: Vec<usize>,
        /// What is needed.
        wanted: Vec<usize>,
    },
    /// There is no kernel for a tensor's type.
    #[error("{file}: tensor {name} has the type {ty}, which cannot be computed with")]
    UnsupportedType {
        /// The file.
        file: String,
        /// The tensor.
        name: String,
        /// Its type.
        ty: &'static str,
    },
    /// A file is no adapter, or none for the model.
    #[error("{file}: {reason}")]
    Adapter {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The context does not fit.
    #[error(
        "a context of {wanted} tokens needs {needed} bytes of KV cache, of {available} available"
    )]
    OutOfMemory {
        /// Positions asked for.
        wanted: usize,
        /// Bytes for them.
        needed: u64,
        /// Bytes that can be used.
        available: u64,
    },
    /// The states of one sequence do not fit.
    #[error("the states of one sequence need {needed} bytes, of {available} available")]
    States {
        /// Bytes for them.
        needed: u64,
        /// Bytes that can be used.
        available: u64,
    },
    /// An option or the environment asks for what this machine or the model does not have.
    #[error("{0}")]
    Option(String),
    /// A token is not in the vocabulary.
    #[error("token {token} is not in the vocabulary of {n_vocab}")]
    Token {
        /// The token.
        token: u32,
        /// The vocabulary's size.
        n_vocab: usize,
    },
    /// The pass was told to end early.
    #[error("interrupted")]
    Interrupted,
}

/// A result with that error.
pub type Result<T> = std::result::Result<T, Error>;
