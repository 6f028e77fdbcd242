//! States that are matrices, to which each position adds the product of a key and a value: Mamba 2
//! (Dao and Gu 2024, arXiv:2405.21060) and the gated delta rule (Yang et al. 2024, arXiv:2412.06464).

use super::{Rows, Slots, States, Turn, load, store};
use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Which of the fewer keys and queries a head uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Heads that stand together use the same.
    Grouped,
    /// Head `h` uses number `h` modulo their number.
    Tiled,
}

/// Sizes, and what a position does to the state `S`, `[key][value]`, of a head:
/// `S = decay * S + key ⊗ u` and `out = query · S`, with `u = rate * value`, or, by the delta rule,
/// `u = rate * (value - key · decay * S)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Heads.
    pub heads: usize,
    /// Different keys and queries.
    pub groups: usize,
    /// Which of them a head uses.
    pub sharing: Sharing,
    /// Values in a key.
    pub key: usize,
    /// Values in a value.
    pub value: usize,
    /// Whether only what the state does not know of the value yet is added.
    pub delta: bool,
}

/// What positions give, a row for each.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `[groups][key]`.
    pub queries: Rows<'a>,
    /// `[groups][key]`.
    pub keys: Rows<'a>,
    /// `[heads][value]`.
    pub values: Rows<'a>,
    /// `[heads]`.
    pub decays: Rows<'a>,
    /// `[heads]`.
    pub rates: Rows<'a>,
}

impl Outer {
    /// A head's values, filled up to whole vectors.
    fn width(&self) -> usize {
        self.value.next_multiple_of(LANES)
    }

    /// Floats of its state.
    pub fn state_len(&self) -> usize {
        self.heads * self.key * self.width()
    }

    fn group(&self, head: usize) -> usize {
        match self.sharing {
            Sharing::Grouped => head / (self.heads / self.groups),
            Sharing::Tiled => head % self.groups,
        }
    }
}

/// Takes the rows through the states; `out` is `[n][heads][value]`.
///
/// # Panics
/// Sizes that do not agree, or turns that do not fit the states.
pub fn outer(
    team: &Team,
    how: &Outer,
    states: &mut States,
    turns: &[Turn],
    inputs: Inputs,
    out: &mut [f32],
) {
    let _part = team.part(Part::Recurrence);
    let Inputs { queries, keys, values, decays, rates } = inputs;
    let n = values.n();
    assert!(how.heads.is_multiple_of(how.groups), "{how:?}");
    assert_eq!([queries.len, keys.len], [how.groups * how.key; 2]);
    assert_eq!([values.len, decays.len, rates.len], [how.heads * how.value, how.heads, how.heads]);
    assert_eq!([queries.n(), keys.n(), decays.n(), rates.n()], [n; 4]);
    assert_eq!(out.len(), n * how.heads * how.value);
    states.check(turns, n, how.state_len());
    let slots = Slots::new(states);
    let out = RawMut::new(out);
    let wide = how.width().is_multiple_of(4 * LANES);
    let pieces = how.width() / if wide { 4 * LANES } else { LANES };
    team.for_each(turns.len() * how.heads * pieces, 1, &|range| {
        for i in range {
            let (turn, head) = (&turns[i / pieces / how.heads], i / pieces % how.heads);
            let piece = i % pieces;
            match wide {
                true => dispatch(Piece::<4> { how, slots, turn, head, piece, inputs, out }),
                false => dispatch(Piece::<1> { how, slots, turn, head, piece, inputs, out }),
            }
        }
    });
}

/// `V` vectors of a head's values in one turn.
struct Piece<'a, const V: usize> {
    how: &'a Outer,
    slots: Slots,
    turn: &'a Turn,
    head: usize,
    piece: usize,
    inputs: Inputs<'a>,
    out: RawMut<f32>,
}

impl<const V: usize> Kernel for Piece<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Piece { how, slots, turn, head, piece, inputs, out } = self;
        let Outer { heads, key, value, delta, .. } = *how;
        let first = piece * V * LANES;
        let n = (V * LANES).min(value - first);
        let group = how.group(head) * key;
        // SAFETY: the turn was checked, and these columns of the head are this piece's alone.
        let row_of =
            |k: usize| unsafe { slots.to(turn, (head * key + k) * how.width() + first, V * LANES) };
        for k in 0..key {
            let at = (head * key + k) * how.width() + first;
            // SAFETY: as above.
            match unsafe { slots.from(turn, at, V * LANES) } {
                Some(old) => row_of(k).copy_from_slice(old),
                None => row_of(k).fill(0.0),
            }
        }
        for row in turn.row..turn.row + turn.n {
            let queries = &inputs.queries.row(row)[group..group + key];
            let keys = &inputs.keys.row(row)[group..group + key];
            let values = &inputs.values.row(row)[head * value + first..][..n];
            let decay = F::splat(inputs.decays.row(row)[head]);
            let rate = F::splat(inputs.rates.row(row)[head]);
            let mut u: [F; V] = std::array::from_fn(|v| load(values, v * LANES));
            if delta {
                let mut known = [F::splat(0.0); V];
                for k in 0..key {
                    let state = row_of(k);
                    for v in 0..V {
                        let s = F::from_slice(&state[v * LANES..]);
                        known[v] = isa.fma(s, F::splat(keys[k]), known[v]);
                    }
                }
                for v in 0..V {
                    u[v] -= known[v] * decay;
                }
            }
            for u in &mut u {
                *u *= rate;
            }
            let mut sums = [F::splat(0.0); V];
            for k in 0..key {
                let state = row_of(k);
                for v in 0..V {
                    let s = F::from_slice(&state[v * LANES..]) * decay;
                    let s = isa.fma(u[v], F::splat(keys[k]), s);
                    s.copy_to_slice(&mut state[v * LANES..]);
                    sums[v] = isa.fma(s, F::splat(queries[k]), sums[v]);
                }
            }
            // SAFETY: the row exists, and these values of the head are this piece's alone.
            let out = unsafe { out.slice((row * heads + head) * value + first, n) };
            for (v, sum) in sums.into_iter().enumerate() {
                if v * LANES < n {
                    store(sum, out, v * LANES);
                }
            }
        }
    }
}
