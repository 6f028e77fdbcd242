//! What one forward pass computes: plain data handed down by the engine.

use crate::lora::Adapters;

/// A page number in the KV cache; every layer has memory for every page.
pub type Page = u32;

/// A slot number of the states; every recurrent layer has memory for every slot.
pub type Slot = u32;

/// Where a run's state stands, in models with recurrent layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSlots {
    /// That of the tokens before the run; `None` at the beginning of a sequence.
    pub from: Option<Slot>,
    /// That of the run's tokens too, written by the pass. No other run of the pass reads or writes it.
    pub to: Slot,
}

/// Some consecutive tokens of one sequence.
#[derive(Clone, Debug)]
pub struct Run {
    /// The tokens to compute, at least one.
    pub tokens: Vec<u32>,
    /// The position of the first of them; all positions before it are in the cache already.
    pub start: usize,
    /// The sequence's pages in order; page `i` holds positions `i * page_len..(i + 1) * page_len`
    /// and there are enough for `start + tokens.len()` positions.
    pub pages: Vec<Page>,
    /// The sequence's state, where [`crate::Model::n_states`] is not 0.
    pub state: Option<StateSlots>,
    /// Of which of the tokens the logits are wanted.
    pub wants: Wants,
    /// Adapters of the model's that the tokens are computed with.
    pub adapters: Adapters,
}

/// Which rows of logits a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// None: a part of a prompt.
    Nothing,
    /// Those after the run's last token.
    Last,
    /// Those after every token of the run.
    All,
}

impl Run {
    /// How many rows of logits the run gets.
    pub fn n_rows(&self) -> usize {
        match self.wants {
            Wants::Nothing => 0,
            Wants::Last => 1,
            Wants::All => self.tokens.len(),
        }
    }
}
