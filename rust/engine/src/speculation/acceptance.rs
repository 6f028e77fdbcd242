//! How often guesses were right.

/// A kind of guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u8);

/// The chances taken for granted at first: of a match of 2, 3, 4 to 7, 8 to 15 and more tokens; of what
/// a model gives a probability of at most 0.4, 0.6, 0.8, 0.95 and 1; of what it has not been asked; of the
/// longest tokens of a text that must come.
const PRIORS: [f64; 12] = [0.2, 0.35, 0.6, 0.8, 0.9, 0.25, 0.45, 0.65, 0.85, 0.95, 0.7, 0.9];
/// As how many guesses that counts.
const WEIGHT: f64 = 2.0;
/// What older guesses count when a new one is known.
const DECAY: f64 = 0.93;
/// A kind that did not pay is tried again after so many of its guesses, and twice as many each time.
const PATIENCE: u32 = 8;
const LEAST_TRIES: u32 = 256;

impl Kind {
    /// That a text which must come is cut into the longest tokens.
    pub const FORCED: Kind = Kind(11);

    /// That a text goes on as it did after the same `n` tokens.
    pub fn lookup(n: usize) -> Kind {
        Kind(match n {
            0..=2 => 0,
            3 => 1,
            4..=7 => 2,
            8..=15 => 3,
            _ => 4,
        })
    }

    /// That a text goes on with what another model gives this probability.
    pub fn model(probability: f64) -> Kind {
        Kind(match probability {
            ..=0.4 => 5,
            ..=0.6 => 6,
            ..=0.8 => 7,
            ..=0.95 => 8,
            _ => 9,
        })
    }

    /// What another model says, not knowing what it is.
    pub const MODEL: Kind = Kind(10);
}

/// What a request has learned of its guesses.
#[derive(Clone, Debug)]
pub(crate) struct Acceptance {
    kinds: [Record; PRIORS.len()],
}

#[derive(Clone, Copy, Debug)]
struct Record {
    right: f64,
    wrong: f64,
    /// Guesses since the last try that were not computed.
    skipped: u32,
    patience: u32,
}

impl Default for Acceptance {
    fn default() -> Acceptance {
        let record = |prior: f64| Record {
            right: prior * WEIGHT,
            wrong: (1.0 - prior) * WEIGHT,
            skipped: 0,
            patience: PATIENCE,
        };
        Acceptance { kinds: PRIORS.map(record) }
    }
}

impl Acceptance {
    /// How probable it is that each guess is right, those before it being right. One whose turn it is to
    /// be tried again gets the benefit of the doubt, at the first place.
    pub fn chances(&self, kinds: &[Kind]) -> Vec<f64> {
        let chance = |(place, kind): (usize, &Kind)| match place {
            0 if self.is_due(*kind) => 1.0,
            _ => self.chance(*kind),
        };
        kinds.iter().enumerate().map(chance).collect()
    }

    /// How probable it is that a guess is right, those before it being right.
    pub fn chance(&self, kind: Kind) -> f64 {
        let record = &self.kinds[usize::from(kind.0)];
        record.right / (record.right + record.wrong)
    }

    fn is_due(&self, kind: Kind) -> bool {
        let record = &self.kinds[usize::from(kind.0)];
        record.skipped >= record.patience
    }

    /// Of guesses of these kinds `n_right` were right; the next one, if there is one, was wrong.
    pub fn learn(&mut self, kinds: &[Kind], n_right: usize) {
        for (place, &kind) in kinds.iter().enumerate().take(n_right + 1) {
            self.note(kind, place < n_right);
            if (Kind::model(0.0).0..=Kind::model(1.0).0).contains(&kind.0) {
                self.note(Kind::MODEL, place < n_right);
            }
        }
    }

    fn note(&mut self, kind: Kind, right: bool) {
        let record = &mut self.kinds[usize::from(kind.0)];
        record.right = record.right * DECAY + f64::from(u8::from(right));
        record.wrong = record.wrong * DECAY + f64::from(u8::from(!right));
        // Only what had been given up becomes rarer.
        record.patience = match right {
            true => PATIENCE,
            false if record.skipped > 0 => (2 * record.patience).min(LEAST_TRIES),
            false => record.patience,
        };
        record.skipped = 0;
    }

    /// A guess that begins with this kind was not computed.
    pub fn skip(&mut self, kind: Kind) {
        self.kinds[usize::from(kind.0)].skipped += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Kind = Kind(4);
    const SHORT: Kind = Kind(0);

    #[test]
    fn chances_follow_what_happens() {
        let mut acceptance = Acceptance::default();
        let chance = |a: &Acceptance| a.chances(&[SHORT])[0];
        assert_eq!(chance(&acceptance), PRIORS[0]);
        (0..5).for_each(|_| acceptance.learn(&[SHORT; 4], 4));
        assert!(chance(&acceptance) > 0.9);
        (0..5).for_each(|_| acceptance.learn(&[SHORT; 4], 0));
        assert!(chance(&acceptance) < 0.7);
        assert_eq!(acceptance.chances(&[LONG])[0], PRIORS[4], "kinds have their own");
    }

    #[test]
    fn what_comes_after_a_wrong_guess_says_nothing() {
        let mut acceptance = Acceptance::default();
        acceptance.learn(&[SHORT, LONG, LONG], 1);
        let chances = acceptance.chances(&[SHORT, LONG]);
        assert!(chances[0] > PRIORS[0]);
        let once_wrong = PRIORS[4] * WEIGHT * DECAY / (WEIGHT * DECAY + 1.0);
        assert!((chances[1] - once_wrong).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_pay_is_tried_again_ever_more_rarely() {
        let mut acceptance = Acceptance::default();
        let mut tries = Vec::new();
        for guess in 0..3000 {
            if acceptance.chances(&[SHORT])[0] == 1.0 {
                tries.push(guess);
                acceptance.learn(&[SHORT], 0);
            } else {
                acceptance.skip(SHORT);
            }
        }
        let gaps: Vec<i32> = tries.windows(2).map(|pair| pair[1] - pair[0] - 1).collect();
        assert_eq!(gaps[..6], [16, 32, 64, 128, 256, 256]);
        acceptance.learn(&[SHORT], 1);
        (0..PATIENCE).for_each(|_| acceptance.skip(SHORT));
        assert_eq!(acceptance.chances(&[SHORT, SHORT])[0], 1.0);
        assert!(acceptance.chances(&[SHORT, SHORT])[1] < 0.5);
    }

    #[test]
    fn kinds_by_length_and_probability() {
        let kinds = [2, 3, 4, 7, 8, 15, 16, 1000].map(Kind::lookup);
        assert_eq!(kinds.map(|kind| kind.0), [0, 1, 2, 2, 3, 3, 4, 4]);
        let kinds = [0.0, 0.4, 0.5, 0.7, 0.9, 0.96, 1.0].map(Kind::model);
        assert_eq!(kinds.map(|kind| kind.0), [5, 5, 6, 7, 8, 9, 9]);
    }
}
