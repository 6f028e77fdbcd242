//! How the tokens of a pass are shared out among the sequences.

use std::cmp::Reverse;

use crate::pace::MIN_CHUNK;

/// The tokens of a pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// At most.
    pub whole: usize,
    /// At most while some sequence generates, which waits for the pass to have its next token; but at
    /// least [`MIN_CHUNK`] beyond what those that generate take.
    pub beside: usize,
}

impl Budget {
    /// The tokens of a pass in which sequences that generate take so many.
    pub fn tokens(&self, n_generating: usize) -> usize {
        match n_generating {
            0 => self.whole,
            n => self.beside.max(n + MIN_CHUNK).min(self.whole),
        }
    }
}

/// What a sequence could do with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub tokens: usize,
    /// Higher goes first.
    pub priority: i64,
}

/// The shares of a budget. It goes to the highest priority and what is left to the next, and so on, but a
/// quarter of it is for all alike, and no less than a token for each, so that none stands still. Among
/// equals it is shared evenly, and what one has no use for goes to the others.
pub(crate) fn share(budget: usize, demands: &[Demand]) -> Vec<usize> {
    let mut shares = vec![0; demands.len()];
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|&index| Reverse(demands[index].priority));
    let classes: Vec<&[usize]> =
        order.chunk_by(|&a, &b| demands[a].priority == demands[b].priority).collect();
    let mut left = budget;
    if classes.len() > 1 {
        let for_all = (budget / 4).max(demands.len()).min(budget);
        left -= spread(for_all, &order, demands, &mut shares);
    }
    for class in classes {
        left -= spread(left, class, demands, &mut shares);
    }
    shares
}

/// Adds to the shares of some, evenly and no more than they have use for; gives what was added.
fn spread(budget: usize, some: &[usize], demands: &[Demand], shares: &mut [usize]) -> usize {
    let lacking = |index: usize, shares: &[usize]| demands[index].tokens - shares[index];
    let mut order = some.to_vec();
    // The modest first: what they leave of their part is for those after them.
    order.sort_by_key(|&index| (lacking(index, shares), index));
    let mut left = budget;
    for (nth, &index) in order.iter().enumerate() {
        let more = lacking(index, shares).min(left / (order.len() - nth));
        shares[index] += more;
        left -= more;
    }
    budget - left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(budget: usize, demands: &[(usize, i64)]) -> Vec<usize> {
        let demands: Vec<Demand> =
            demands.iter().map(|&(tokens, priority)| Demand { tokens, priority }).collect();
        share(budget, &demands)
    }

    #[test]
    fn equals_share_evenly_and_spend_all() {
        assert_eq!(shares(20, &[(1, 0), (40, 0), (5, 0), (40, 0)]), [1, 7, 5, 7]);
        assert_eq!(shares(20, &[(3, 0), (4, 0)]), [3, 4]);
        assert!(shares(20, &[]).is_empty());
    }

    #[test]
    fn a_higher_priority_takes_what_it_needs_first() {
        // Five of the twenty are for all: one, two and two.
        assert_eq!(shares(20, &[(40, 0), (40, 7), (40, 0)]), [1, 17, 2]);
        assert_eq!(shares(20, &[(40, 0), (8, 7), (40, -3)]), [10, 8, 2]);
    }

    #[test]
    fn nobody_stands_still() {
        assert_eq!(shares(4, &[(9, 0), (9, 1), (9, 2), (9, 3)]), [1, 1, 1, 1]);
    }

    #[test]
    fn the_budget_is_smaller_beside_sequences_that_generate() {
        let budget = Budget { whole: 512, beside: 40 };
        assert_eq!([0, 1, 30, 600].map(|n| budget.tokens(n)), [512, 40, 46, 512]);
    }
}
