//! What a model can be asked for.

use crate::batch::Rows;

/// What a model gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it continues texts: encoders do not.
    pub generates: bool,
    /// Whether tokens see later ones, so that a sequence must be one run.
    pub looks_ahead: bool,
    /// The width of a vector.
    pub width: usize,
    /// The width of an embedding.
    pub embedding: usize,
    /// How vectors are pooled unless something else is asked for.
    pub pooling: Pooling,
    /// How they are pooled for the classifier, if there is one.
    pub classified: Option<Pooling>,
}

/// How the vectors of a sequence become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Not at all.
    None,
    /// Their mean.
    Mean,
    /// The first token's.
    Cls,
    /// The last token's.
    Last,
    /// The scores that the classifier makes of one.
    Rank,
}

impl Pooling {
    /// In the order of GGUF's numbers.
    pub const ALL: [Pooling; 5] =
        [Pooling::None, Pooling::Mean, Pooling::Cls, Pooling::Last, Pooling::Rank];

    /// `none`, `mean`, `cls`, `last` or `rank`.
    pub fn name(self) -> &'static str {
        ["none", "mean", "cls", "last", "rank"][self as usize]
    }

    /// The vectors that are enough for it.
    pub fn rows(self) -> Rows {
        match self {
            Pooling::None | Pooling::Mean | Pooling::Rank => Rows::All,
            Pooling::Cls => Rows::First,
            Pooling::Last => Rows::Last,
        }
    }
}
