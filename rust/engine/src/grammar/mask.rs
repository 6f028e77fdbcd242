//! Which tokens may come next, and the thread that finds it out beside the forward pass.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use toktrie::SimpleVob;

use super::phase::State;
use crate::catch::catch;

/// The tokens that may come next.
#[derive(Clone, Debug)]
pub(crate) enum Mask {
    /// Every token.
    Any,
    /// All but these.
    Without(Vec<u32>),
    /// Only these.
    Only(SimpleVob),
}

impl Mask {
    /// Sets the logits of all other tokens to minus infinity.
    pub fn apply(&self, logits: &mut [f32]) {
        match self {
            Mask::Any => {}
            Mask::Without(ids) => {
                for &id in ids {
                    if let Some(logit) = logits.get_mut(id as usize) {
                        *logit = f32::NEG_INFINITY;
                    }
                }
            }
            Mask::Only(allowed) => only(allowed.as_slice(), logits),
        }
    }
}

/// `words` has a bit for each token; tokens beyond it are forbidden.
fn only(words: &[u32], logits: &mut [f32]) {
    let (known, unknown) = logits.split_at_mut(logits.len().min(words.len() * 32));
    unknown.fill(f32::NEG_INFINITY);
    for (&word, part) in words.iter().zip(known.chunks_mut(32)) {
        match word {
            0 => part.fill(f32::NEG_INFINITY),
            u32::MAX => {}
            _ => {
                for (bit, logit) in part.iter_mut().enumerate() {
                    if word >> bit & 1 == 0 {
                        *logit = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
}

/// Masks of one state and of those after some tokens. `state` is as it was.
pub(super) struct Answer {
    pub state: Box<State>,
    /// The next token's, then those after each of the tokens, as far as they are allowed.
    pub masks: Result<Vec<Mask>, String>,
}

struct Question {
    state: Box<State>,
    tokens: Vec<u32>,
    reply: Sender<Answer>,
}

/// Computes masks; one for an engine, begun with the first question.
#[derive(Default)]
pub(crate) struct MaskThread {
    questions: Option<Sender<Question>>,
}

impl MaskThread {
    /// Computes the masks of a state and after each of these tokens. Without a thread to be had, that
    /// is done here.
    pub(super) fn ask(&mut self, state: Box<State>, tokens: Vec<u32>) -> Receiver<Answer> {
        let (reply, answer) = mpsc::channel();
        let question = Question { state, tokens, reply };
        let questions = self.questions.get_or_insert_with(start);
        if let Err(mpsc::SendError(question)) = questions.send(question) {
            question.answer();
        }
        answer
    }
}

/// The thread ends when the sender is dropped.
fn start() -> Sender<Question> {
    let (questions, received) = mpsc::channel::<Question>();
    // Where it fails, the receiver is dropped and sending fails.
    let _ = thread::Builder::new().name("farthing-masks".into()).spawn(move || {
        for question in received {
            question.answer();
        }
    });
    questions
}

impl Question {
    fn answer(self) {
        let Question { mut state, tokens, reply } = self;
        let masks = catch("computing a mask", || masks(&mut state, &tokens)).and_then(|m| m);
        // Who does not wait any more was cancelled.
        let _ = reply.send(Answer { state, masks });
    }
}

fn masks(state: &mut State, tokens: &[u32]) -> Result<Vec<Mask>, String> {
    let mut masks = vec![state.mask()?];
    if tokens.is_empty() {
        return Ok(masks);
    }
    let mut ahead = state.clone();
    for token in &tokens[..state.allowed(tokens)?] {
        if ahead.accept(*token)? {
            break;
        }
        masks.push(ahead.mask()?);
    }
    Ok(masks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_leaves_what_it_allows() {
        let mut allowed = SimpleVob::alloc(70);
        [0, 31, 32].into_iter().chain(64..70).for_each(|id| allowed.allow_token(id));
        let left = |mask: Mask, n| {
            let mut logits = vec![1.0; n];
            mask.apply(&mut logits);
            let ids = (0..n).filter(|&id| logits[id] == 1.0);
            ids.collect::<Vec<_>>()
        };
        assert_eq!(left(Mask::Only(allowed.clone()), 70), [0, 31, 32, 64, 65, 66, 67, 68, 69]);
        assert_eq!(left(Mask::Only(allowed), 200), [0, 31, 32, 64, 65, 66, 67, 68, 69]);
        assert_eq!(left(Mask::Without(vec![1, 5, 999]), 6), [0, 2, 3, 4]);
        assert_eq!(left(Mask::Any, 3), [0, 1, 2]);
    }
}
