//! One request's guesses.

use super::{Acceptance, Draft, Kind, Lookup};

pub(crate) struct Guesser {
    /// Guesses for a pass, at most.
    n_max: usize,
    lookup: Option<Lookup>,
    acceptance: Acceptance,
    /// The kinds of the guesses in the sequence.
    kinds: Vec<Kind>,
    /// Guesses computed.
    pub n_drafted: usize,
    /// Those of them that were right.
    pub n_accepted: usize,
}

impl Guesser {
    /// Guesses `n_max` tokens for a pass at most, from earlier places of the text if `lookup`.
    pub fn new(n_max: usize, lookup: bool) -> Guesser {
        Guesser {
            n_max,
            lookup: (lookup && n_max > 0).then(Lookup::default),
            acceptance: Acceptance::default(),
            kinds: Vec::new(),
            n_drafted: 0,
            n_accepted: 0,
        }
    }

    /// Guesses for a pass, at most.
    pub fn n_max(&self) -> usize {
        self.n_max
    }

    /// Guesses of `n` tokens after these, by what came after the last ones before.
    pub fn look_up(&mut self, tokens: &[u32], n: usize) -> Draft {
        let Some(lookup) = self.lookup.as_mut().filter(|_| n > 0) else {
            return Draft::default();
        };
        let Some(found) = lookup.find(tokens) else {
            return Draft::default();
        };
        // With each guess that is right the match is longer.
        let kinds: Vec<Kind> = (found.length..found.length + n).map(Kind::lookup).collect();
        let chances = self.acceptance.chances(&kinds);
        Draft { tokens: found.continuation(tokens, n), kinds, chances }
    }

    /// The tokens of a text that must come next, at most `room`. Only how it is cut is a guess.
    pub fn forced(&mut self, mut tokens: Vec<u32>, room: usize) -> Draft {
        tokens.truncate(room);
        let kinds = vec![Kind::FORCED; tokens.len()];
        let chances = self.acceptance.chances(&kinds);
        Draft { tokens, kinds, chances }
    }

    /// The text is not what it was.
    pub fn forget(&mut self) {
        if let Some(lookup) = &mut self.lookup {
            *lookup = Lookup::default();
        }
    }

    /// How probable it is that a guess of this kind is right.
    pub fn chance(&self, kind: Kind) -> f64 {
        self.acceptance.chance(kind)
    }

    /// Whether another model is to be asked, if a token is worth `gain` times what a guess costs.
    pub fn tries_model(&mut self, gain: f64) -> bool {
        let tries = self.acceptance.chances(&[Kind::MODEL])[0] * gain > 1.0;
        if !tries {
            self.acceptance.skip(Kind::MODEL);
        }
        tries
    }

    /// Of guesses of these kinds the first `n` are in the sequence now.
    pub fn drafted(&mut self, kinds: &[Kind], n: usize) {
        self.kinds.clear();
        self.kinds.extend_from_slice(&kinds[..n]);
        if let (0, Some(first)) = (n, kinds.first()) {
            self.acceptance.skip(*first);
        }
    }

    /// `n` guesses were computed, of which `n_right` were right; `ended` says that no token was chosen
    /// after those.
    pub fn verified(&mut self, n: usize, n_right: usize, ended: bool) {
        let known = if ended { n_right } else { n };
        self.acceptance.learn(&self.kinds[..known.min(self.kinds.len())], n_right);
        self.n_drafted += n;
        self.n_accepted += n_right;
    }
}
