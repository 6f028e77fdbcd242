//! Speculation: tokens are guessed, and a pass computes several of a sequence at once.
//!
//! A pass reads all weights whether it computes one token or a few, so a right guess is a token nearly
//! for free. The tokens are chosen from the rows of logits as ever, one after the other, as long as each
//! is the one that was guessed; what comes after the first wrong guess is thrown away. A row is the same
//! to the bit whatever else is computed with it, so the text is that of plain decoding, greedy or sampled.
//!
//! [`Lookup`] guesses that a text goes on as it did before after the same tokens, [`Drafter`] has a smaller model
//! guess, and what a grammar says may leave no choice. [`Acceptance`] learns how
//! often guesses are right, [`Costs`] how long passes take, and [`choose`] weighs the one against the
//! other.

mod acceptance;
mod costs;
mod drafter;
mod guesser;
mod lookup;

pub(crate) use acceptance::{Acceptance, Kind};
pub(crate) use costs::Costs;
pub(crate) use drafter::{Drafter, Guessing, Prices};
pub(crate) use guesser::Guesser;
pub(crate) use lookup::Lookup;

/// Guessed tokens of one pass at most: each has a row of logits in memory.
const MAX_ROWS: usize = 32;
/// What guesses must be expected to gain, as a part of a pass's time without them.
const MARGIN: f64 = 0.02;

/// Tokens guessed for a sequence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub tokens: Vec<u32>,
    /// What kind of guess each of them is.
    pub kinds: Vec<Kind>,
    /// How probable it is that each of them is right, those before it being right.
    pub chances: Vec<f64>,
}

impl Draft {
    /// Leaves the first `n`.
    pub fn truncate(&mut self, n: usize) {
        self.tokens.truncate(n);
        self.kinds.truncate(n);
        self.chances.truncate(n);
    }
}

/// How many tokens of each draft to compute in a pass that has `n_rows` tokens without them.
///
/// Where the pass computes nothing else, these are so many that the most tokens are expected in a
/// second. Where it has prompts too, the time added is weighed against what a token would cost if it
/// did not.
pub(crate) fn choose(drafts: &[(u64, Draft)], n_rows: usize, costs: &Costs) -> Vec<usize> {
    let mut lengths = vec![0; drafts.len()];
    // The probability that a token is reached and right falls along a draft, so the most probable ones
    // of all drafts are beginnings of each.
    let mut tokens: Vec<(f64, usize)> = Vec::new();
    for (index, (_, draft)) in drafts.iter().enumerate() {
        let mut reached = 1.0;
        tokens.extend(draft.chances.iter().map(|chance| {
            reached *= chance;
            (reached, index)
        }));
    }
    tokens.sort_by(|a, b| b.0.total_cmp(&a.0));
    tokens.truncate(MAX_ROWS);

    let n = drafts.len();
    let mut sum = 0.0;
    let right: Vec<f64> = std::iter::once(0.0)
        .chain(tokens.iter().map(|(chance, _)| {
            sum += chance;
            sum
        }))
        .collect();
    let alone = right.iter().enumerate().map(|(k, right)| costs.time(n + k) / (n as f64 + right));
    let worth = alone.fold(f64::INFINITY, f64::min);
    let (mut best, mut taken) = (MARGIN * costs.time(n), 0);
    for (k, right) in right.iter().enumerate() {
        let gain = right * worth - (costs.time(n_rows + k) - costs.time(n_rows));
        if gain > best {
            (best, taken) = (gain, k);
        }
    }
    for &(_, index) in &tokens[..taken] {
        lengths[index] += 1;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(chances: &[f64]) -> (u64, Draft) {
        (0, Draft { chances: chances.to_vec(), ..Draft::default() })
    }

    /// A pass of `n` tokens takes `first + n * more`.
    fn costs(first: f64, more: f64) -> Costs {
        let mut costs = Costs::default();
        (2..130).for_each(|i| costs.learn(i / 2, first + more * (i / 2) as f64));
        costs
    }

    #[test]
    fn sure_guesses_are_taken_where_rows_are_cheap() {
        let drafts = [draft(&[0.99; 16])];
        assert_eq!(choose(&drafts, 1, &costs(10.0, 0.1)), [16]);
        assert_eq!(choose(&drafts, 1, &costs(0.0, 1.0)), [0], "a token costs what it is worth");
    }

    #[test]
    fn the_length_is_where_the_rate_is_best() {
        for (chance, more) in [(0.9, 0.1), (0.8, 0.05), (0.5, 0.1), (0.3, 0.02), (0.05, 0.1)] {
            let costs = costs(1.0, more);
            let rate = |k: usize| {
                let expected: f64 = (0..=k).map(|i| f64::powi(chance, i as i32)).sum();
                expected / costs.time(1 + k)
            };
            let best = (0..=16).max_by(|&a, &b| rate(a).total_cmp(&rate(b))).expect("some");
            assert_eq!(choose(&[draft(&[chance; 16])], 1, &costs), [best], "{chance} {more}");
        }
    }

    #[test]
    fn rows_go_to_the_best_guesses() {
        let drafts = [draft(&[0.9, 0.9, 0.3]), draft(&[]), draft(&[0.4]), draft(&[0.95])];
        let lengths = choose(&drafts, 4, &costs(10.0, 1.5));
        assert_eq!(lengths, [2, 0, 0, 1]);
    }

    #[test]
    fn many_sequences_leave_no_room() {
        let drafts = vec![draft(&[0.7; 4]); 8];
        // Memory-bound up to 8 tokens.
        let mut costs = Costs::default();
        (2..130).for_each(|i| costs.learn(i / 2, (i / 2).max(8) as f64));
        assert_eq!(choose(&drafts[..1], 1, &costs), [4]);
        assert_eq!(choose(&drafts, 8, &costs), [0; 8]);
    }

    #[test]
    fn beside_a_prompt_a_guess_must_be_worth_its_row() {
        let costs = costs(10.0, 1.0);
        // Alone a token costs 11, so one row more is worth it from a chance of 1 in 11 on.
        assert_eq!(choose(&[draft(&[0.2])], 60, &costs), [1]);
        assert_eq!(choose(&[draft(&[0.08])], 60, &costs), [0]);
    }

    #[test]
    fn memory_bounds_the_rows() {
        let drafts = vec![draft(&[1.0; 16]); 6];
        let lengths = choose(&drafts, 6, &costs(1000.0, 0.1));
        assert_eq!(lengths.iter().sum::<usize>(), MAX_ROWS);
    }
}
