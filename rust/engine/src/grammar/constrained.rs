//! A request's constraint as the answer grows.

use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc::Receiver;

use super::constraint::Constraint;
use super::mask::{Answer, Mask, MaskThread};
use super::phase::State;

/// Gives the mask of each token and takes the tokens that were chosen, in turn.
///
/// Masks that were computed for tokens expected ahead, such as drafts, are used as long as these are
/// the tokens that are chosen.
pub(crate) struct Constrained {
    turn: Turn,
    /// Those of the next tokens.
    masks: VecDeque<Mask>,
    /// The tokens between them.
    expected: VecDeque<u32>,
}

/// Who has the state.
enum Turn {
    Here(Box<State>),
    Away(Receiver<Answer>),
    /// It was lost, with this message.
    Failed(String),
}

impl Constrained {
    pub fn new(constraint: Constraint) -> Constrained {
        Constrained {
            turn: Turn::Here(Box::new(State::new(constraint))),
            masks: VecDeque::new(),
            expected: VecDeque::new(),
        }
    }

    /// Has the next mask computed beside the pass that begins, and those after each of the tokens
    /// expected.
    pub fn prepare(&mut self, thread: &mut MaskThread, expected: &[u32]) {
        if !self.masks.is_empty() {
            return;
        }
        self.turn = match mem::replace(&mut self.turn, Turn::Failed("computing a mask".into())) {
            Turn::Here(state) if !(state.is_free() && expected.is_empty()) => {
                self.expected = expected.iter().copied().collect();
                Turn::Away(thread.ask(state, expected.to_vec()))
            }
            other => other,
        };
    }

    /// The mask of the next token; waits for it where it is still being computed.
    pub fn mask(&mut self) -> Result<&Mask, String> {
        self.state()?;
        if self.masks.is_empty() {
            let mask = self.state()?.mask()?;
            self.expected.clear();
            self.masks.push_back(mask);
        }
        self.masks.front().ok_or_else(|| "there is no mask".into())
    }

    /// Takes the token chosen; true if nothing can follow.
    pub fn accept(&mut self, id: u32) -> Result<bool, String> {
        let done = self.state()?.accept(id)?;
        self.masks.pop_front();
        if self.expected.pop_front() != Some(id) {
            self.masks.clear();
            self.expected.clear();
        }
        Ok(done)
    }

    /// How many of these tokens the constraint allows, one after the other.
    pub fn allowed(&mut self, ids: &[u32]) -> Result<usize, String> {
        if ids.is_empty() { Ok(0) } else { self.state()?.allowed(ids) }
    }

    /// Tokens of the text that must come next, if only one can.
    pub fn forced(&mut self) -> Result<Vec<u32>, String> {
        Ok(self.state()?.forced())
    }

    fn state(&mut self) -> Result<&mut State, String> {
        if let Turn::Away(answer) = &self.turn {
            self.turn = match answer.recv() {
                Ok(Answer { state, masks: Ok(masks) }) => {
                    self.masks = masks.into();
                    Turn::Here(state)
                }
                Ok(Answer { masks: Err(message), .. }) => Turn::Failed(message),
                Err(_) => Turn::Failed("the thread that computes masks stopped".into()),
            };
        }
        match &mut self.turn {
            Turn::Here(state) => Ok(state),
            Turn::Failed(message) => Err(message.clone()),
            Turn::Away(_) => Err("there is no mask".into()),
        }
    }
}
