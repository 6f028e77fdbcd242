//! RWKV's token shift: what blocks read is partly what they read a position before.

use farthing_kernels::Team;
use farthing_kernels::recurrence::{Convolution, States, Turn, convolve};

use super::recurrent::rows;

/// Elements below which another thread does not pay.
const GRAIN: usize = 1 << 14;

/// Rows of one position before.
pub struct TokenShift(Convolution);

impl TokenShift {
    /// Of rows of `d` values.
    pub fn new(d: usize) -> TokenShift {
        TokenShift(Convolution::new(2, &[1.0, 0.0].repeat(d), Vec::new(), false))
    }

    /// Floats of its state.
    pub fn state_len(&self) -> usize {
        self.0.state_len()
    }

    /// Writes for each row of `x` the row before it, zeros for a sequence's first.
    pub fn before(
        &self,
        team: &Team,
        states: &mut States,
        turns: &[Turn],
        x: &[f32],
        out: &mut [f32],
    ) {
        convolve(team, &self.0, states, turns, rows(x, self.0.channels()), out);
    }
}

/// Writes `x + share * (before - x)`, `shares` being one row for all or a row for each.
pub fn mix(team: &Team, (x, before): (&[f32], &[f32]), shares: &[f32], d: usize, out: &mut [f32]) {
    team.for_rows(out, d, GRAIN / d + 1, &|first, rows| {
        for (i, out) in (first..).zip(rows.chunks_exact_mut(d)) {
            let (x, before) = (&x[i * d..][..d], &before[i * d..][..d]);
            let shares = &shares[i * d % shares.len()..][..d];
            for (((out, x), before), share) in out.iter_mut().zip(x).zip(before).zip(shares) {
                *out = x + share * (before - x);
            }
        }
    });
}
