//! The causal convolution of single channels over the last few positions.

use super::{Rows, Slots, States, Turn, load, store};
use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::math::silu;
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Channels of one piece of work.
const GRAIN: usize = 16 * LANES;

/// `out[t][c] = bias[c] + sum over j of weight[j][c] * x[t - width + 1 + j][c]`, where positions before
/// the first are zero.
#[derive(Clone, Debug)]
pub struct Convolution {
    channels: usize,
    width: usize,
    /// `[width][channels]`.
    weight: Vec<f32>,
    /// `[channels]`, or nothing.
    bias: Vec<f32>,
    /// Whether `x / (1 + e^-x)` follows.
    silu: bool,
}

impl Convolution {
    /// From weights `[channels][width]`; `bias` is empty or `[channels]`.
    ///
    /// # Panics
    /// Sizes that do not agree.
    pub fn new(width: usize, weight: &[f32], bias: Vec<f32>, silu: bool) -> Convolution {
        assert!(width > 0 && weight.len().is_multiple_of(width), "{} by {width}", weight.len());
        let channels = weight.len() / width;
        assert!(bias.is_empty() || bias.len() == channels, "{} biases", bias.len());
        let weight = (0..weight.len()).map(|i| weight[i % channels * width + i / channels]);
        Convolution { channels, width, weight: weight.collect(), bias, silu }
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Floats of its state: the inputs of the last `width - 1` positions.
    pub fn state_len(&self) -> usize {
        (self.width - 1) * self.channels
    }
}

/// Convolves the rows of `x`, `[n][channels]`, to `out`.
///
/// # Panics
/// Sizes that do not agree, or turns that do not fit the states.
pub fn convolve(
    team: &Team,
    how: &Convolution,
    states: &mut States,
    turns: &[Turn],
    x: Rows,
    out: &mut [f32],
) {
    let _part = team.part(Part::Recurrence);
    let channels = how.channels;
    assert_eq!((x.len, x.n() * channels), (channels, out.len()), "channels and outputs");
    states.check(turns, x.n(), how.state_len());
    let slots = Slots::new(states);
    let out = RawMut::new(out);
    let pieces = channels.div_ceil(GRAIN);
    team.for_each(turns.len() * pieces, 1, &|range| {
        for i in range {
            let (turn, first) = (&turns[i / pieces], i % pieces * GRAIN);
            let n = GRAIN.min(channels - first);
            dispatch(Piece { how, slots, turn, first, n, x, out });
        }
    });
}

/// Some channels of one turn.
struct Piece<'a> {
    how: &'a Convolution,
    slots: Slots,
    turn: &'a Turn,
    first: usize,
    n: usize,
    x: Rows<'a>,
    out: RawMut<f32>,
}

impl Kernel for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Piece { how, slots, turn, first, n, x, out } = self;
        let Convolution { channels, width, ref weight, ref bias, silu: activated } = *how;
        let before = width - 1;
        // SAFETY: the turn was checked, and a state has `before` rows of all channels.
        let old = |row: usize| unsafe { slots.from(turn, row * channels + first, n) };
        // Row `s` counts from the first one of the state.
        let input = |s: usize, at: usize| match s.checked_sub(before) {
            Some(row) => load(&x.row(turn.row + row)[first..first + n], at),
            None => old(s).map_or(F::splat(0.0), |row| load(row, at)),
        };
        for t in 0..turn.n {
            // SAFETY: the row exists, and its channels are this piece's alone.
            let out = unsafe { out.slice((turn.row + t) * channels + first, n) };
            for at in (0..n).step_by(LANES) {
                let mut sum =
                    if bias.is_empty() { F::splat(0.0) } else { load(&bias[first..first + n], at) };
                for j in 0..width {
                    let weight = load(&weight[j * channels + first..][..n], at);
                    sum = isa.fma(weight, input(t + j, at), sum);
                }
                store(if activated { silu(isa, sum) } else { sum }, out, at);
            }
        }
        for row in 0..before {
            // SAFETY: as for the old state; these channels are this piece's alone.
            let new = unsafe { slots.to(turn, row * channels + first, n) };
            for at in (0..n).step_by(LANES) {
                store(input(turn.n + row, at), new, at);
            }
        }
    }
}
