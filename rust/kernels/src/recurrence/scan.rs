//! The selective scan, whose channels have a few state values each (Mamba, Gu and Dao 2023,
//! arXiv:2312.00752).

use super::{Rows, Slots, States, Turn, load, softplus, store};
use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::math::exp;
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Channels of one piece of work.
const GRAIN: usize = 4 * LANES;

/// For each position with step `dt = softplus(step)`:
/// `h[s][c] = e^(dt[c] a[s][c]) h[s][c] + dt[c] x[c] b[s]` and
/// `out[c] = sum over s of h[s][c] c[s] + skip[c] x[c]`.
#[derive(Clone, Debug)]
pub struct Scan {
    channels: usize,
    /// State values of a channel.
    size: usize,
    /// `[size][channels]`.
    a: Vec<f32>,
    /// `[channels]`.
    skip: Vec<f32>,
}

/// What positions give to a scan, a row for each.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `[channels]`.
    pub x: Rows<'a>,
    /// `[channels]`, before the softplus.
    pub step: Rows<'a>,
    /// `[size]`.
    pub b: Rows<'a>,
    /// `[size]`.
    pub c: Rows<'a>,
}

impl Scan {
    /// From `a`, `[channels][size]`.
    ///
    /// # Panics
    /// Sizes that do not agree.
    pub fn new(size: usize, a: &[f32], skip: Vec<f32>) -> Scan {
        let channels = skip.len();
        assert_eq!(a.len(), channels * size, "{channels} channels of {size}");
        let a = (0..a.len()).map(|i| a[i % channels * size + i / channels]).collect();
        Scan { channels, size, a, skip }
    }

    /// Floats of its state.
    pub fn state_len(&self) -> usize {
        self.size * self.channels
    }
}

/// Scans the rows to `out`, `[n][channels]`.
///
/// # Panics
/// Sizes that do not agree, or turns that do not fit the states.
pub fn scan(
    team: &Team,
    how: &Scan,
    states: &mut States,
    turns: &[Turn],
    inputs: Inputs,
    out: &mut [f32],
) {
    let _part = team.part(Part::Recurrence);
    let Inputs { x, step, b, c } = inputs;
    let (channels, n) = (how.channels, x.n());
    assert_eq!([x.len, step.len, b.len, c.len], [channels, channels, how.size, how.size]);
    assert_eq!([step.n(), b.n(), c.n(), out.len()], [n, n, n, n * channels]);
    states.check(turns, n, how.state_len());
    let slots = Slots::new(states);
    let out = RawMut::new(out);
    let pieces = channels.div_ceil(GRAIN);
    team.for_each(turns.len() * pieces, 1, &|range| {
        for i in range {
            let (turn, first) = (&turns[i / pieces], i % pieces * GRAIN);
            let n = GRAIN.min(channels - first);
            dispatch(Piece { how, slots, turn, first, n, inputs, out });
        }
    });
}

/// Some channels of one turn.
struct Piece<'a> {
    how: &'a Scan,
    slots: Slots,
    turn: &'a Turn,
    first: usize,
    n: usize,
    inputs: Inputs<'a>,
    out: RawMut<f32>,
}

impl Kernel for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Piece { how, slots, turn, first, n, inputs, out } = self;
        let Scan { channels, size, ref a, ref skip } = *how;
        let part = first..first + n;
        for s in 0..size {
            let at = s * channels + first;
            // SAFETY: the turn was checked, and these channels are this piece's alone.
            let (old, new) = unsafe { (slots.from(turn, at, n), slots.to(turn, at, n)) };
            match old {
                Some(old) => new.copy_from_slice(old),
                None => new.fill(0.0),
            }
        }
        for row in turn.row..turn.row + turn.n {
            let (xs, steps) =
                (&inputs.x.row(row)[part.clone()], &inputs.step.row(row)[part.clone()]);
            let (b, c) = (inputs.b.row(row), inputs.c.row(row));
            // SAFETY: the row exists, and its channels are this piece's alone.
            let out = unsafe { out.slice(row * channels + first, n) };
            for at in (0..n).step_by(LANES) {
                let x = load(xs, at);
                let dt = softplus(isa, load(steps, at));
                let mut sum = x * load(&skip[part.clone()], at);
                for s in 0..size {
                    // SAFETY: as above.
                    let h = unsafe { slots.to(turn, s * channels + first, n) };
                    let decay = exp(isa, dt * load(&a[s * channels + first..][..n], at));
                    let new = isa.fma(load(h, at), decay, dt * x * F::splat(b[s]));
                    store(new, h, at);
                    sum = isa.fma(new, F::splat(c[s]), sum);
                }
                store(sum, out, at);
            }
        }
    }
}
