//! Where an answer is with respect to its constraint.

use std::sync::Arc;

use llguidance::Matcher;

use super::constraint::{Constraint, Thinking};
use super::mask::Mask;
use super::tail::{Tail, is_space};

/// White space that may stand between reasoning and what the grammar says.
const GAPS: [&str; 2] = ["\n", "\n\n"];

/// The state after some tokens. Messages of errors are for the user.
#[derive(Clone)]
pub(super) struct State {
    constraint: Arc<Constraint>,
    phase: Phase,
}

#[derive(Clone)]
enum Phase {
    /// Reasoning may begin here: all text so far is its marker's beginning, of this length. The
    /// matcher goes along, as long as the grammar allows that too.
    Deciding { seen: usize, matcher: Option<Box<Matcher>> },
    /// Reasoning.
    Thinking(Tail),
    /// Free text, until a trigger comes.
    Waiting(Tail),
    /// After reasoning.
    Gap(Box<Matcher>),
    /// What the grammar says.
    Matching(Box<Matcher>),
}

impl State {
    /// The beginning of an answer.
    pub fn new(constraint: Constraint) -> State {
        let constraint = Arc::new(constraint);
        let begin = constraint.thinking.as_ref().map(|thinking| thinking.begin.is_some());
        let phase = match begin {
            Some(false) => Phase::Thinking(Tail::default()),
            Some(true) => Phase::Deciding { seen: 0, matcher: begin_matcher(&constraint) },
            None => begin_matcher(&constraint)
                .map_or_else(|| Phase::Waiting(Tail::default()), Phase::Matching),
        };
        State { constraint, phase }
    }

    /// Whether the next mask takes no time.
    pub fn is_free(&self) -> bool {
        match &self.phase {
            Phase::Thinking(_) | Phase::Waiting(_) => true,
            Phase::Deciding { matcher, .. } => {
                matcher.is_none() && !self.constraint.triggers.is_empty()
            }
            Phase::Gap(_) | Phase::Matching(_) => false,
        }
    }

    /// The tokens that may come next.
    pub fn mask(&mut self) -> Result<Mask, String> {
        let vocabulary = self.constraint.grammar.vocabulary();
        match &mut self.phase {
            Phase::Waiting(_) => Ok(Mask::Any),
            Phase::Thinking(_) if self.constraint.triggers.is_empty() => {
                Ok(Mask::Without(vocabulary.ends().to_vec()))
            }
            Phase::Thinking(_) => Ok(Mask::Any),
            Phase::Deciding { .. } if !self.constraint.triggers.is_empty() => Ok(Mask::Any),
            Phase::Deciding { seen, matcher } => {
                let mut mask = match matcher {
                    Some(matcher) => compute(matcher)?,
                    None => vocabulary.trie().alloc_token_set(),
                };
                let marker = begin_marker(&self.constraint);
                for id in vocabulary.beginnings(&marker.as_bytes()[*seen..]) {
                    mask.allow_token(id);
                }
                Ok(Mask::Only(mask))
            }
            Phase::Gap(matcher) => {
                let mut mask = compute(matcher)?;
                GAPS.iter()
                    .filter_map(|gap| vocabulary.find(gap))
                    .for_each(|id| mask.allow_token(id));
                Ok(Mask::Only(mask))
            }
            Phase::Matching(matcher) => Ok(Mask::Only(compute(matcher)?)),
        }
    }

    /// Takes the next token, which the mask allowed and which does not end the generation. True if
    /// nothing can follow.
    pub fn accept(&mut self, id: u32) -> Result<bool, String> {
        match &mut self.phase {
            Phase::Deciding { .. } => self.decide(id),
            Phase::Thinking(_) => self.think(id),
            Phase::Waiting(_) => self.wait(id),
            Phase::Gap(matcher) => {
                let text = self.constraint.grammar.vocabulary().text(id);
                let matcher = matcher.clone();
                let gap = GAPS.iter().any(|gap| gap.as_bytes() == text);
                self.phase = Phase::Matching(matcher);
                if gap { Ok(false) } else { self.accept(id) }
            }
            Phase::Matching(matcher) => consume(matcher, &[id]),
        }
    }

    /// How many of these tokens the constraint allows one after the other.
    pub fn allowed(&mut self, ids: &[u32]) -> Result<usize, String> {
        match &mut self.phase {
            Phase::Matching(matcher) => matcher.validate_tokens(ids).map_err(message),
            _ => Ok(ids.len()),
        }
    }

    /// The tokens of the text that must come next, if only one can, cut into the longest.
    pub fn forced(&mut self) -> Vec<u32> {
        match &mut self.phase {
            Phase::Matching(matcher) if !matcher.is_stopped() => {
                let grammar = &self.constraint.grammar;
                // A matcher that was asked finds no token any more where it told of a special one.
                let text = match grammar.has_special_tokens() {
                    true => matcher.clone().compute_ff_bytes(),
                    false => matcher.compute_ff_bytes(),
                };
                grammar.vocabulary().cut(&text)
            }
            _ => Vec::new(),
        }
    }

    fn decide(&mut self, id: u32) -> Result<bool, String> {
        let Phase::Deciding { seen, matcher } = &mut self.phase else { return Ok(false) };
        let text = self.constraint.grammar.vocabulary().text(id);
        let rest = &begin_marker(&self.constraint).as_bytes()[*seen..];
        let waits = !self.constraint.triggers.is_empty();
        if !text.is_empty() && rest.starts_with(text) {
            *seen += text.len();
            if text.len() == rest.len() {
                self.phase = Phase::Thinking(Tail::default());
            } else if let Some(alive) = matcher
                && alive.try_consume_tokens(&[id]).map_err(message)? == 0
            {
                *matcher = None;
            }
            return Ok(false);
        }
        if waits && !rest.is_empty() && text.starts_with(rest) {
            // The token holds the marker's end and more.
            self.phase = Phase::Thinking(Tail::default());
            return self.think(id);
        }
        if waits && *seen == 0 && is_space(text) {
            return Ok(false);
        }
        match matcher.take() {
            Some(matcher) => self.phase = Phase::Matching(matcher),
            None if waits => self.phase = Phase::Waiting(Tail::default()),
            None => return Err("the grammar does not allow how the answer began".into()),
        }
        self.accept(id)
    }

    fn think(&mut self, id: u32) -> Result<bool, String> {
        let Phase::Thinking(tail) = &mut self.phase else { return Ok(false) };
        let Some(Thinking { end, .. }) = &self.constraint.thinking else { return Ok(false) };
        tail.push(id, self.constraint.grammar.vocabulary(), end.len());
        let Some(found) = tail.find(end, false) else { return Ok(false) };
        let rest = tail.tokens_from(found.end, self.constraint.grammar.vocabulary());
        let space = is_space(tail.text_from(found.end));
        match begin_matcher(&self.constraint) {
            Some(matcher) if rest.is_empty() => self.phase = Phase::Gap(matcher),
            Some(matcher) => {
                self.phase = Phase::Matching(matcher);
                if !space {
                    return self.accept_all(&rest);
                }
            }
            None => {
                self.phase = Phase::Waiting(Tail::default());
                return self.accept_all(&rest);
            }
        }
        Ok(false)
    }

    fn accept_all(&mut self, ids: &[u32]) -> Result<bool, String> {
        let mut done = false;
        for &id in ids {
            done = self.accept(id)?;
        }
        Ok(done)
    }

    fn wait(&mut self, id: u32) -> Result<bool, String> {
        let Phase::Waiting(tail) = &mut self.phase else { return Ok(false) };
        let vocabulary = self.constraint.grammar.vocabulary();
        let triggers = &self.constraint.triggers;
        let longest = triggers.iter().map(|trigger| trigger.text.len()).max().unwrap_or(0);
        tail.push(id, vocabulary, longest);
        let places = triggers.iter().filter_map(|trigger| {
            let found = tail.find(&trigger.text, trigger.first)?;
            Some(if trigger.after { found.end } else { found.start })
        });
        let Some(place) = places.min() else { return Ok(false) };
        let begun = tail.tokens_from(place, vocabulary);
        let mut matcher = Box::new(self.constraint.grammar.begin());
        // What only looks like the beginning of a call is text.
        if matcher.try_consume_tokens(&begun).map_err(message)? < begun.len() {
            return Ok(false);
        }
        let done = matcher.is_stopped();
        self.phase = Phase::Matching(matcher);
        Ok(done)
    }
}

/// A matcher, if the grammar begins where the answer or what is after reasoning does.
fn begin_matcher(constraint: &Constraint) -> Option<Box<Matcher>> {
    constraint.triggers.is_empty().then(|| Box::new(constraint.grammar.begin()))
}

fn begin_marker(constraint: &Constraint) -> &str {
    let thinking = constraint.thinking.as_ref();
    thinking.and_then(|thinking| thinking.begin.as_deref()).unwrap_or_default()
}

fn compute(matcher: &mut Matcher) -> Result<toktrie::SimpleVob, String> {
    matcher.compute_mask_or_eos().map_err(message)
}

fn consume(matcher: &mut Matcher, ids: &[u32]) -> Result<bool, String> {
    matcher.consume_tokens(ids).map_err(message)?;
    Ok(matcher.is_stopped())
}

#[cfg(test)]
mod tests;

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn message(error: anyhow::Error) -> String {
    let text = format!("{error:#}");
    format!("the grammar cannot be followed: {}", text.replace("\n<non-verbose/>", ""))
}
