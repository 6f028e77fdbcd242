//! The states of RWKV: matrices whose rows decay at rates of their own, in version 6 (Peng et al. 2024,
//! arXiv:2404.05892), and from which version 7 takes something away (Peng et al. 2025, arXiv:2503.14456).

use super::{Rows, Slots, States, Turn, load, store};
use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Heads, and the values in each of a head's vectors. What a position does to the state `S`, `[key][value]`,
/// of a head: `out = query · S` and then `S[k] = decay[k] * S[k] + key[k] * value`; or, if it takes something
/// away, `S[k] = decay[k] * S[k] + key[k] * value - to[k] * (from · S)` and then `out = query · S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wkv {
    /// Heads.
    pub heads: usize,
    /// Values in a key, a query, a value.
    pub size: usize,
}

/// What positions give, a row of `[heads][size]` for each.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// RWKV's receptances.
    pub queries: Rows<'a>,
    /// What a value is known by.
    pub keys: Rows<'a>,
    /// What is remembered.
    pub values: Rows<'a>,
    /// What is left of the state's rows.
    pub decays: Rows<'a>,
    /// What is taken away, if anything.
    pub removal: Option<Removal<'a>>,
}

/// What is taken away of a state.
#[derive(Clone, Copy, Debug)]
pub struct Removal<'a> {
    /// Where it is read.
    pub from: Rows<'a>,
    /// Where it is subtracted.
    pub to: Rows<'a>,
}

impl Wkv {
    /// A head's values, filled up to whole vectors.
    fn width(&self) -> usize {
        self.size.next_multiple_of(LANES)
    }

    /// Floats of its state.
    pub fn state_len(&self) -> usize {
        self.heads * self.size * self.width()
    }
}

/// Takes the rows through the states; `out` is `[n][heads][size]`.
///
/// # Panics
/// Sizes that do not agree, or turns that do not fit the states.
pub fn wkv(
    team: &Team,
    how: &Wkv,
    states: &mut States,
    turns: &[Turn],
    inputs: Inputs,
    out: &mut [f32],
) {
    let _part = team.part(Part::Recurrence);
    let Inputs { queries, keys, values, decays, removal } = inputs;
    let (n, width) = (values.n(), how.heads * how.size);
    let removed = removal.into_iter().flat_map(|removal| [removal.from, removal.to]);
    for rows in [queries, keys, values, decays].into_iter().chain(removed) {
        assert_eq!((rows.n(), rows.len), (n, width), "{how:?}");
    }
    assert_eq!(out.len(), n * width);
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
    how: &'a Wkv,
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
        let Wkv { heads, size } = *how;
        let first = piece * V * LANES;
        let n = (V * LANES).min(size - first);
        // SAFETY: the turn was checked, and these columns of the head are this piece's alone.
        let row_of = |k: usize| unsafe {
            slots.to(turn, (head * size + k) * how.width() + first, V * LANES)
        };
        for k in 0..size {
            let at = (head * size + k) * how.width() + first;
            // SAFETY: as above.
            match unsafe { slots.from(turn, at, V * LANES) } {
                Some(old) => row_of(k).copy_from_slice(old),
                None => row_of(k).fill(0.0),
            }
        }
        for row in turn.row..turn.row + turn.n {
            let of = |rows| part(rows, row, head, size);
            let (queries, keys, decays) = (of(inputs.queries), of(inputs.keys), of(inputs.decays));
            let values = &of(inputs.values)[first..first + n];
            let values: [F; V] = std::array::from_fn(|v| load(values, v * LANES));
            let removal = inputs.removal.map(|removal| (of(removal.from), of(removal.to)));
            let mut known = [F::splat(0.0); V];
            if let Some((from, _)) = removal {
                for k in 0..size {
                    let state = row_of(k);
                    for v in 0..V {
                        let s = F::from_slice(&state[v * LANES..]);
                        known[v] = isa.fma(s, F::splat(from[k]), known[v]);
                    }
                }
            }
            let mut sums = [F::splat(0.0); V];
            for k in 0..size {
                let state = row_of(k);
                let query = F::splat(queries[k]);
                for v in 0..V {
                    let old = F::from_slice(&state[v * LANES..]);
                    let new = isa.fma(old, F::splat(decays[k]), values[v] * F::splat(keys[k]));
                    let (new, seen) = match removal {
                        Some((_, to)) => {
                            let new = isa.fma(known[v], F::splat(-to[k]), new);
                            (new, new)
                        }
                        None => (new, old),
                    };
                    new.copy_to_slice(&mut state[v * LANES..]);
                    sums[v] = isa.fma(seen, query, sums[v]);
                }
            }
            // SAFETY: the row exists, and these values of the head are this piece's alone.
            let out = unsafe { out.slice((row * heads + head) * size + first, n) };
            for (v, sum) in sums.into_iter().enumerate() {
                if v * LANES < n {
                    store(sum, out, v * LANES);
                }
            }
        }
    }
}

/// A head's part of a row.
#[inline(always)]
fn part(rows: Rows<'_>, row: usize, head: usize, size: usize) -> &[f32] {
    &rows.row(row)[head * size..][..size]
}
